"""The sockets, and a feed of measurements about the service itself."""

import itertools
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from gauge.lines import BadLine, packet, parse
from gauge.window import Full, Window


class Collector:
    """Everything that arrives, and what was wrong with it."""

    def __init__(self):
        self.window = Window()
        self.bad = 0
        self.refused = 0

    def take(self, data):
        """One packet. A line that is wrong harms no other."""
        try:
            lines = packet(data)
        except BadLine:
            self.bad += 1
            return
        for line in lines:
            try:
                self.window.add(*parse(line))
            except BadLine:
                self.bad += 1
            except Full:
                self.refused += 1

    def receive(self, listener):
        """Takes packets for ever."""
        while True:
            data, _ = listener.recvfrom(65536)
            self.take(data)
            self.window.sweep()


def control(listener):
    """Answers to operators: `PING`."""
    while True:
        data, sender = listener.recvfrom(1024)
        listener.sendto(b"PONG" if data == b"PING" else b"WHAT", sender)


def feed(port):
    """Short-lived series, as every deployment brings them."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for number in itertools.count():
            sender.sendto(f"run.{number}:1|c\nrun.{number}.größe:2|ms".encode(), ("127.0.0.1", port))
            time.sleep(0.05)


def udp(port):
    """A socket that is bound."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", port))
    return listener


def serve(port, control_port):
    """Serves until it is ended."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            figures = {"figures": collector.window.figures(), "bad": collector.bad, "refused": collector.refused}
            body = json.dumps(figures, ensure_ascii=False).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Requests are not logged."""

    measurements, operators = udp(port), udp(control_port)
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    for target, argument in ((collector.receive, measurements), (control, operators), (feed, port)):
        threading.Thread(target=target, args=(argument,), daemon=True).start()
    print(f"gauge: listening on {port} and {control_port}", flush=True)
    server.serve_forever()
