"""What the server promises to a client."""

import socket
import threading
import unittest

from kvd.frames import Reader, encode
from kvd.server import Server


class Conversation(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = Server()
        threading.Thread(target=cls.server.accept, daemon=True).start()

    def setUp(self):
        self.connection = socket.create_connection(("127.0.0.1", self.server.port), 5)
        self.addCleanup(self.connection.close)
        self.reader = Reader(self.connection.recv)

    def ask(self, text):
        self.connection.sendall(encode(text))
        return self.reader.frame()

    def test_values_come_back_as_they_were_sent(self):
        for value in ["1", "two words", "größe 🍵", ""]:
            self.assertEqual(self.ask(f"SET key {value}"), "OK")
            self.assertEqual(self.ask("GET key"), f"OK {value}")

    def test_what_is_not_there_is_none(self):
        self.assertEqual(self.ask("GET nothing"), "NONE")
        self.assertEqual(self.ask("DEL nothing"), "NONE")

    def test_what_is_not_understood_is_said(self):
        self.assertEqual(self.ask("DANCE now"), "ERR DANCE is not understood")
        self.assertEqual(self.ask("GET"), "ERR GET is not understood")
        self.assertEqual(self.ask("PING"), "OK")

    def test_many_requests_may_be_sent_at_once(self):
        self.connection.sendall(encode("PING") * 50)
        self.assertEqual([self.reader.frame() for _ in range(50)], ["OK"] * 50)
