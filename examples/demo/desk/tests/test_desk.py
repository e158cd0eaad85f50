"""What the desk promises, over real connections."""

import unittest

import asyncio

from desk import Desk


class Session(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        self.server = await Desk().open(0)
        self.port = self.server.sockets[0].getsockname()[1]

    async def asyncTearDown(self):
        self.server.close()

    async def say(self, *words):
        """A session of its own, and what is answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answers = []
        for word in words:
            writer.write(f"{word}\n".encode())
            answers.append((await asyncio.wait_for(reader.readline(), 5)).decode().strip())
        writer.close()
        return answers

    async def test_it_answers(self):
        self.assertEqual(await self.say("PING"), ["PONG"])

    async def test_each_number_is_drawn_once(self):
        first, second = await self.say("NEXT", "NEXT"), await self.say("NEXT")
        self.assertEqual(first + second, ["TICKET 1", "TICKET 2", "TICKET 3"])

    async def test_numbers_are_called_in_order(self):
        self.assertEqual(await self.say("CALL", "NEXT", "NEXT", "CALL"), ["NOBODY WAITS", "TICKET 1", "TICKET 2", "NOW 1"])


if __name__ == "__main__":
    unittest.main()
