"""A TCP key-value store that greets like a database does.

    PORT            where it listens on 127.0.0.1 (required)
    SERVICE_NAME    what it calls itself

Greets with "DEMO-STORE 1.0 ready", then answers lines: PING, SET key value, GET key, QUIT.
"""

import os
import socketserver
import sys

from common import NAME, on_stop, say

DATA = {}


class Session(socketserver.StreamRequestHandler):
    """One client; one that says nothing for half a minute is sent away."""

    timeout = 30

    def handle(self):
        try:
            self.send("DEMO-STORE 1.0 ready")
            while line := self.rfile.readline(4096):
                word, *rest = line.decode("utf-8", "replace").split(maxsplit=2) or [""]
                if word == "QUIT":
                    return
                self.send(self.answer(word, rest))
        except OSError:
            return  # a probe that has seen enough hangs up

    def send(self, text):
        self.wfile.write(text.encode() + b"\n")

    @staticmethod
    def answer(word, rest):
        if word == "PING":
            return "PONG"
        if word == "SET" and len(rest) == 2:
            DATA[rest[0]] = rest[1].rstrip()
            return "OK"
        if word == "GET" and len(rest) == 1:
            return DATA.get(rest[0], "NONE")
        return "ERROR use PING, SET key value, GET key or QUIT"


class Server(socketserver.ThreadingTCPServer):
    """Restarts must not wait for the old port."""

    allow_reuse_address = True
    daemon_threads = True


def main():
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Session)
    on_stop(server.shutdown)
    say(f"start on port {server.server_address[1]}")
    say("ready")
    server.serve_forever(poll_interval=0.1)
    say("stop")


if __name__ == "__main__":
    try:
        main()
    except KeyError as missing:
        sys.exit(f"{NAME}: set the environment variable {missing}")
