"""The HTTP side: routes, and nothing that could be tested without a socket."""

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from orders import basket, replies
from orders.settings import load


class Handler(BaseHTTPRequestHandler):
    """`GET /health`, `GET /items/PAGE`, and `POST /price` with `[["sku", count], …]`."""

    catalog = None
    settings = None

    def do_GET(self):
        if self.path == "/health":
            self.answer(200, replies.health(self.catalog, self.settings))
        elif self.path.startswith("/items/"):
            self.attempt(lambda: self.catalog.page(int(self.path[7:]), self.settings.page_size))
        else:
            self.answer(404, {"error": "no such place"})

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.attempt(lambda: replies.priced(json.loads(body), self.catalog, self.settings))

    def attempt(self, make):
        """Answers with what `make` gives, or says what is wrong with the question."""
        try:
            self.answer(200, make())
        except LookupError as problem:
            self.answer(404, {"error": str(problem)})
        except ValueError as problem:
            self.answer(400, {"error": str(problem)})

    def answer(self, status, document):
        headers, body = replies.encode(document)
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Requests are not logged; failures are, by the library."""


def serve(port):
    """Serves until it is ended."""
    Handler.settings = load()
    Handler.catalog = basket.load(Handler.settings)
    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        print(f"orders: listening on {port}", flush=True)
        server.serve_forever()
