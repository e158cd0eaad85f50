"""The checkout: says over HTTP what a basket costs.

    PORT    where it listens on 127.0.0.1 (required)

POST /total with a list of {"cents": …, "quantity": …}: {"total": …}.
GET /healthz prices a basket whose price is known: 200, or 500 and what is wrong.
"""

import http.server
import json
import os
import signal
import socketserver
import threading

import pricing

KNOWN = [{"cents": 50, "quantity": 10}, {"cents": 1200, "quantity": 1}]
KNOWN_TOTAL = 2140


def priced(basket):
    """The page about a basket, as a client reads it."""
    return json.dumps({"total": pricing.total(basket)})


def health():
    """Whether a client would be told the right price."""
    try:
        found = json.loads(priced(KNOWN))["total"]
    except Exception as error:
        return 500, f"the known basket cannot be priced: {error}"
    if found != KNOWN_TOTAL:
        return 500, f"the known basket costs {found}, and should cost {KNOWN_TOTAL}"
    return 200, "ready"


class Handler(http.server.BaseHTTPRequestHandler):
    """Two pages, and no line per request."""

    def do_GET(self):
        if self.path != "/healthz":
            return self.answer(404, json.dumps({"error": "not here"}))
        status, words = health()
        self.answer(status, json.dumps({"status": words}))

    def do_POST(self):
        try:
            basket = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
            self.answer(200, priced(basket))
        except (ValueError, TypeError, KeyError) as error:
            self.answer(400, json.dumps({"error": str(error)}))

    def answer(self, status, page):
        body = page.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Nothing: the probe asks often."""


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Restarts must not wait for the old port."""

    allow_reuse_address = True
    daemon_threads = True

    def server_bind(self):
        """Without the reverse name lookup of HTTPServer, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]


def main():
    server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"checkout: ready on port {server.server_port}", flush=True)
    server.serve_forever(poll_interval=0.1)


if __name__ == "__main__":
    main()
