"""What asking promises. Sources here answer when they are told to, and not after a time."""

import asyncio
import unittest
from decimal import Decimal

from fanout.asking import Asker


class Asking(unittest.IsolatedAsyncioTestCase):
    async def source(self, answer):
        """A source: `answer` gives a line, or None where nothing is ever said."""

        async def talk(reader, writer):
            await reader.readline()
            line = await answer()
            if line is None:
                await reader.read()
            else:
                writer.write(line)
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        self.addCleanup(server.close)
        return server.sockets[0].getsockname()[1]

    async def says(self, line):
        async def answer():
            return line

        return await self.source(answer)

    async def closed(self):
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        return port

    async def ask(self, sources, deadline=5, at_once=8):
        return await asyncio.wait_for(Asker(sources, deadline, at_once).ask(), 8)

    async def test_all_that_answer_are_heard(self):
        sources = {f"s{n}": await self.says(f"{n}.5\n".encode()) for n in range(1, 6)}
        self.assertEqual(await self.ask(sources), {f"s{n}": Decimal(f"{n}.5") for n in range(1, 6)})

    async def test_they_are_asked_at_the_same_time(self):
        for count in (2, 5):
            asked, everybody = [], asyncio.Event()

            async def answer(asked=asked, everybody=everybody, count=count):
                asked.append(1)
                if len(asked) == count:
                    everybody.set()
                await everybody.wait()
                return b"1\n"

            sources = {f"s{n}": await self.source(answer) for n in range(count)}
            self.assertEqual(len(await self.ask(sources, deadline=2)), count)

    async def test_nobody_is_waited_for_beyond_the_deadline(self):
        sources = {"a": await self.says(b"1\n"), "mute": await self.says(None), "z": await self.says(b"3\n")}
        self.assertEqual(await self.ask(sources, deadline=0.5), {"a": Decimal(1), "z": Decimal(3)})
        self.assertEqual(await self.ask({"mute": sources["mute"]}, deadline=0.05), {})

    async def test_the_failure_of_one_is_not_that_of_another(self):
        sources = {"gone": await self.closed(), "wrong": await self.says(b"x\n"), "short": await self.says(b"")}
        self.assertEqual(await self.ask(sources), {})
        sources["well"] = await self.says(b"2\n")
        self.assertEqual(await self.ask(sources), {"well": Decimal(2)})

    async def test_only_so_many_are_asked_at_once(self):
        for at_once in (1, 2):
            now, most = [0], [0]

            async def answer(now=now, most=most):
                now[0] += 1
                most[0] = max(most[0], now[0])
                await asyncio.sleep(0.05)
                now[0] -= 1
                return b"1\n"

            sources = {f"s{n}": await self.source(answer) for n in range(6)}
            self.assertEqual(len(await self.ask(sources, at_once=at_once)), 6)
            self.assertEqual(most[0], at_once)
