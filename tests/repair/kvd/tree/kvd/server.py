"""Connections: a thread for each, at most so many at once; and a watchdog that is a client like any other."""

import socket
import threading
import time

from kvd.frames import FrameError, Reader, encode
from kvd.store import Store

CONNECTIONS = 10
IDLE = 30.0
STALE = 1.5


class Server:
    """Listens from the beginning; `serve` answers."""

    def __init__(self, port=0):
        self.store = Store()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.port = self._listener.getsockname()[1]
        self._slots = threading.Semaphore(CONNECTIONS)
        self._well = time.monotonic()

    def serve(self):
        """Answers until the process ends."""
        threading.Thread(target=self._watch, daemon=True).start()
        self.accept()

    def accept(self):
        """Takes connections; who finds no free place is told so."""
        while True:
            connection, _ = self._listener.accept()
            if self._slots.acquire(timeout=0.1):
                threading.Thread(target=self._talk, args=(connection,), daemon=True).start()
            else:
                with connection:
                    connection.sendall(encode("ERR busy"))

    def _talk(self, connection):
        try:
            with connection:
                connection.settimeout(IDLE)
                reader = Reader(connection.recv)
                while (text := reader.frame()) is not None:
                    connection.sendall(encode(self.answer(text)))
        except (FrameError, OSError):
            pass  # whoever does not speak the protocol, or has gone, is not talked to
        finally:
            self._slots.release()

    def answer(self, text):
        """What is answered to one request."""
        verb, _, rest = text.partition(" ")
        key, _, value = rest.partition(" ")
        if verb == "PING":
            return "OK"
        if verb == "SET" and key:
            self.store.set(key, value)
            return "OK"
        if verb == "GET" and key:
            found = self.store.get(key)
            return "NONE" if found is None else f"OK {found}"
        if verb == "DEL" and key:
            return "OK" if self.store.delete(key) else "NONE"
        if verb == "KEYS":
            return " ".join(["OK", *self.store.keys(key)])
        if verb == "CHECK":
            return self._check()
        return f"ERR {verb} is not understood"

    def _check(self):
        self.store.set("größe", "größe", ttl=60)
        if time.monotonic() - self._well > STALE:
            return "ERR the watchdog does not come through"
        return f"OK {self.store.get('größe')}"

    def _watch(self):
        while True:
            self.store.expire()
            if self.store.get("watchdog") is None:
                self.store.set("watchdog", "was here", ttl=0.8)
            try:
                self._visit()
                self._well = time.monotonic()
            except (FrameError, OSError):
                time.sleep(0.05)

    def _visit(self):
        """A client that comes, asks, thinks, asks again and goes."""
        with socket.create_connection(("127.0.0.1", self.port), 5) as connection:
            reader = Reader(connection.recv)
            for pause in (0.1, 0):
                connection.sendall(encode("PING"))
                if reader.frame() != "OK":
                    raise FrameError("no answer to a ping")
                time.sleep(pause)
