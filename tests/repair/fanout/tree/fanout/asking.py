"""Asks sources at the same time. Nobody is waited for beyond the deadline, and nobody's failure is another's."""

import asyncio

from fanout.rates import parse


class Asker:
    """Sources by name, each with its port; so many seconds for all of them, so many connections at once."""

    def __init__(self, sources, deadline, at_once):
        self._sources = sources
        self._deadline = deadline
        self._slots = asyncio.Semaphore(at_once)

    async def ask(self):
        """The rates of those that answered in time, by name."""
        tasks = {name: asyncio.create_task(self._one(port)) for name, port in sorted(self._sources.items())}
        done, late = await asyncio.wait(tasks.values(), timeout=self._deadline)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return {name: task.result() for name, task in tasks.items() if task in done and task.exception() is None}

    async def _one(self, port):
        async with self._slots:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(b"RATE\n")
                return parse(await reader.readline())
            finally:
                writer.close()
