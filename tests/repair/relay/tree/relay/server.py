"""Connections, and a feed of ticks with a visitor that comes and goes, so that the relay always knows how it is."""

import asyncio
import contextlib

from relay.hub import Full, Hub, settings
from relay.lines import LineError, decode, encode

TICK = 0.025
STALE = 1.2
BACKLOG = 40
SAMPLE = "grüße " * 40


class Server:
    """`SUB topic`, `PUB topic text`, `TOPICS`, `CHECK` and `QUIT`, a line each."""

    def __init__(self, port):
        self._port = port
        self._hub = Hub(**settings())
        self._well = None

    async def serve(self):
        """Serves until it is ended."""
        loop = asyncio.get_running_loop()
        self._well = loop.time()
        server = await asyncio.start_server(self._talk, "127.0.0.1", self._port)
        self._laggard = self._hub.subscribe("tick")
        tasks = [asyncio.create_task(self._tick()), asyncio.create_task(self._visit())]
        print(f"relay: listening on {self._port}", flush=True)
        async with server:
            await asyncio.gather(server.serve_forever(), *tasks, return_exceptions=True)

    async def _talk(self, reader, writer):
        listening = None
        try:
            while data := await reader.readline():
                verb, _, rest = decode(data).partition(" ")
                topic, _, text = rest.partition(" ")
                if verb == "QUIT":
                    break
                if verb == "SUB" and topic and listening is None:
                    queue = self._hub.subscribe(topic)
                    listening = (topic, queue, asyncio.create_task(self._forward(queue, writer)))
                    writer.write(encode("OK"))
                elif verb == "PUB" and topic:
                    writer.write(encode(f"OK {await self._hub.publish(topic, text)}"))
                elif verb == "TOPICS":
                    writer.write(encode(" ".join(f"{name}={count}" for name, count in self._hub.topics().items())))
                elif verb == "CHECK":
                    writer.write(encode(self._check()))
                else:
                    writer.write(encode(f"ERR {verb} is not understood"))
                await writer.drain()
        except (LineError, Full) as problem:
            writer.write(encode(f"ERR {problem}"))
        except (OSError, ValueError):
            pass  # it has gone, or has sent more than a buffer of one line
        finally:
            if listening:
                topic, queue, task = listening
                task.cancel()
                self._hub.unsubscribe(topic, queue)
            writer.close()

    async def _forward(self, queue, writer):
        with contextlib.suppress(OSError):
            while True:
                writer.write(encode(await queue.get()))
                await writer.drain()

    def _check(self):
        if asyncio.get_running_loop().time() - self._well > STALE:
            return "ERR the visitor does not come through"
        if self._laggard.qsize() > BACKLOG:
            return f"ERR {self._laggard.qsize()} lines wait for one subscriber"
        return f"OK {len(encode(SAMPLE))} {SAMPLE}"

    async def _tick(self):
        while True:
            await self._hub.publish("tick", "tick tock")
            await asyncio.sleep(TICK)

    async def _visit(self):
        """A subscriber that comes, hears one tick and goes without a word."""
        while True:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                writer.write(b"SUB tick\n")
                heard = [await asyncio.wait_for(reader.readline(), 1) for _ in range(2)]
                writer.close()
                if heard == [b"OK\n", b"tick tock\n"]:
                    self._well = asyncio.get_running_loop().time()
            await asyncio.sleep(TICK)
