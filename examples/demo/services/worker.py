"""A worker without a port: it shows that it lives by what it writes.

    SERVICE_NAME    what it calls itself
    LOG_FILE        where it writes a line per unit of work, begun anew at each start, so that no probe believes the
                    lines of an earlier one; without it, standard output
    WORK_EVERY      seconds per unit of work (default 1)
    STORE           host:port of the store it counts in; without it, it only writes
"""

import os
import pathlib
import socket
import sys
import time

from common import number, on_stop, say, stopping


def writer():
    """Where the lines go."""
    path = os.environ.get("LOG_FILE")
    if not path:
        return say
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    log = file.open("w", buffering=1, encoding="utf-8")
    return lambda text: log.write(f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime())} {text}\n")


def store(count):
    """Tells the store how far it came."""
    address = os.environ.get("STORE")
    if not address:
        return "unit done"
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), timeout=2) as connection:
            stream = connection.makefile("rw", encoding="utf-8")
            stream.readline()
            stream.write(f"SET units {count}\nQUIT\n")
            stream.flush()
            return f"unit done, store says {stream.readline().strip()}"
    except (OSError, ValueError) as error:
        return f"unit done, store does not answer: {error}"


def main():
    every = number("WORK_EVERY", 1)
    on_stop()
    say("start")
    write = writer()
    write("started")
    say("ready")
    count = 0
    while not stopping.wait(every):
        count += 1
        write(f"{store(count)} ({count})")
    write("stopped")
    say("stop")


if __name__ == "__main__":
    sys.exit(main())
