"""The HTTP side, stand-ins for the sources, and a poll that never stops."""

import asyncio
import contextlib
import json
import pathlib

from fanout.asking import Asker
from fanout.rates import agree

POLL = 0.05


def settings():
    """What the operator may set."""
    return json.loads(pathlib.Path(__file__).with_name("settings.json").read_text(encoding="utf-8"))


async def stand_in(rate, delay_ms):
    """The port of a source on this machine, which answers so late."""

    async def answer(reader, writer):
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await reader.readline()
            await asyncio.wait_for(reader.read(), delay_ms / 1000)
            writer.close()
            return
        with contextlib.suppress(OSError):
            writer.write(f"{rate}\n".encode())
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


async def closed_port():
    """A port where nobody listens."""
    server, port = await stand_in("1", 0)
    server.close()
    await server.wait_closed()
    return port


class Service:
    """The sources and what they say."""

    def __init__(self, found, ports):
        self._ports = ports
        self._quorum = found["quorum"]
        self._asker = Asker(ports, found["deadline_ms"] / 1000, found["at_once"])

    async def rate(self):
        """The answer to customers and to the operator's probe."""
        answers = await self._asker.ask()
        missing = sorted(set(self._ports) - set(answers))
        return {"rate": agree(answers, self._quorum), "answered": sorted(answers), "missing": missing}

    async def poll(self):
        """Asks again and again, so that whatever is slow or lost is seen before a customer sees it."""
        while True:
            await asyncio.gather(self._asker.ask(), asyncio.sleep(POLL), return_exceptions=True)

    async def talk(self, reader, writer):
        """One request."""
        with contextlib.suppress(OSError):
            first = await reader.readline()
            while (await reader.readline()).strip():
                pass
            status, document = "200 OK", {}
            try:
                if first.split()[1:2] not in ([b"/rate"], [b"/health"]):
                    status = "404 Not Found"
                else:
                    document = await self.rate()
            except Exception as problem:
                status, document = "500 Internal Server Error", {"error": f"{type(problem).__name__}: {problem}"}
            body = json.dumps(document).encode()
            writer.write(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()


async def serve(port):
    """Serves until it is ended."""
    found = settings()
    servers = {name: await stand_in(**source) for name, source in found["sources"].items()}
    ports = {name: port for name, (_, port) in servers.items()}
    service = Service(found, ports | {"gone": await closed_port()})
    server = await asyncio.start_server(service.talk, "127.0.0.1", port)
    polls = [asyncio.create_task(service.poll()) for _ in range(3)]
    print(f"fanout: listening on {port}", flush=True)
    async with server:
        await asyncio.gather(server.serve_forever(), *polls)
