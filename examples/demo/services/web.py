"""An HTTP service whose health can be made to misbehave.

    PORT             where it listens on 127.0.0.1 (required)
    SERVICE_NAME     what it calls itself
    READY_AFTER      seconds until /healthz answers 200 for the first time (default 0)
    READY            "never": /healthz answers 503 for ever
    START_FILE       counts starts in this file; /healthz stays 503 until start number HEALTHY_FROM_START
    HEALTHY_FROM_START (default 2)
    CRASH_AFTER      seconds after it became ready until it dies with exit code 70, once: CRASH_FILE remembers
    CRASH_FILE       (required with CRASH_AFTER)
    FLAP_AFTER, FLAP_FOR, FLAP_EVERY
                     so many seconds after it became ready, for so long, health toggles every so many seconds

A clean stop while healthy forgets both files, so that the next boot shows the same again.

GET /healthz: {"status": "ready" | "unwell", "name": …, "start": n}, 200 or 503.  GET /: a greeting.
"""

import http.server
import json
import os
import pathlib
import socketserver
import sys
import threading
import time

from common import NAME, number, on_stop, say, stopping

BEGAN = time.monotonic()
READY_AFTER = number("READY_AFTER", 0)
FLAP_AFTER, FLAP_FOR, FLAP_EVERY = number("FLAP_AFTER", 0), number("FLAP_FOR", 0), number("FLAP_EVERY", 1)


def count_start():
    """Which start of this service this is, remembered in START_FILE."""
    path = os.environ.get("START_FILE")
    if not path:
        return 1
    file = pathlib.Path(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    try:
        start = int(file.read_text()) + 1
    except (FileNotFoundError, ValueError):
        start = 1
    file.write_text(str(start))
    return start


START = count_start()
NEVER = os.environ.get("READY") == "never" or (
    "START_FILE" in os.environ and START < number("HEALTHY_FROM_START", 2)
)


def healthy():
    """What /healthz says now."""
    up = time.monotonic() - BEGAN - READY_AFTER
    if NEVER or up < 0:
        return False
    into = up - FLAP_AFTER
    flapping = 0 <= into < FLAP_FOR
    return not (flapping and int(into / FLAP_EVERY) % 2 == 0)


class Handler(http.server.BaseHTTPRequestHandler):
    """Two pages, and no line per request."""

    def do_GET(self):
        if self.path == "/healthz":
            well = healthy()
            page = {"status": "ready" if well else "unwell", "name": NAME, "start": START}
            self.answer(200 if well else 503, page)
        elif self.path == "/":
            self.answer(200, {"hello": NAME})
        else:
            self.answer(404, {"error": "not here"})

    do_HEAD = do_GET

    def answer(self, status, page):
        body = json.dumps(page).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: a probe every second would drown the lines that matter."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Restarts must not wait for the old port."""

    allow_reuse_address = True
    daemon_threads = True

    def server_bind(self):
        """Without the reverse name lookup of HTTPServer, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def crash_once():
    """Dies, unless CRASH_FILE says that it did before."""
    file = pathlib.Path(os.environ["CRASH_FILE"])
    if file.exists() or stopping.wait(READY_AFTER + number("CRASH_AFTER", 5)):
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("crashed\n")
    say("crashing, this once: RuntimeError: lost the upstream connection")
    os._exit(70)


def forget():
    """The next boot begins from nothing."""
    for variable in ("START_FILE", "CRASH_FILE"):
        if variable in os.environ:
            pathlib.Path(os.environ[variable]).unlink(missing_ok=True)


def announce():
    """The line that says it is ready."""
    if NEVER:
        say(f"will not become healthy (start {START})")
    elif not stopping.wait(READY_AFTER):
        say("ready")


def main():
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
    on_stop(server.shutdown)
    say(f"start {START} on port {server.server_port}")
    threading.Thread(target=announce, daemon=True).start()
    if "CRASH_AFTER" in os.environ:
        threading.Thread(target=crash_once, daemon=True).start()
    server.serve_forever(poll_interval=0.1)
    if healthy():
        forget()
    say("stop")


if __name__ == "__main__":
    try:
        main()
    except KeyError as missing:
        sys.exit(f"{NAME}: set the environment variable {missing}")
