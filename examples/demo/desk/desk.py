"""A ticket desk: one TCP line in, one line out. asyncio, so nothing but a start of it shows whether it works.

    PORT    where it listens on 127.0.0.1 (required)

NEXT: TICKET and a number, each number once.  CALL: NOW and the number whose turn it is.  PING: PONG.
"""

import asyncio
import os
import signal

# Seconds after which whoever says nothing is sent away.
SILENCE = 10


class Desk:
    """Numbers that were drawn, and those that were called."""

    def __init__(self):
        self.drawn = 0
        self.called = 0

    def answer(self, word):
        if word == "PING":
            return "PONG"
        if word == "NEXT":
            self.drawn += 1
            return f"TICKET {self.drawn}"
        if word == "CALL" and self.called < self.drawn:
            self.called += 1
            return f"NOW {self.called}"
        return "NOBODY WAITS" if word == "CALL" else "SAY NEXT, CALL OR PING"

    async def session(self, reader, writer):
        """One client, until it hangs up or falls silent."""
        try:
            while line := await asyncio.wait_for(reader.readline(), SILENCE):
                writer.write(f"{self.answer(line.decode('utf-8', 'replace').strip())}\n".encode())
                await writer.drain()
        except (TimeoutError, asyncio.TimeoutError, ConnectionError):
            pass
        finally:
            writer.close()

    async def open(self, port):
        return await asyncio.start_server(self.session, "127.0.0.1", port)


async def main():
    server = await Desk().open(int(os.environ["PORT"]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.close)
    print("desk: ready", flush=True)
    try:
        await server.serve_forever()
    except asyncio.CancelledError:
        pass


if __name__ == "__main__":
    asyncio.run(main())
