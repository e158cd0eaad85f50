"""The HTTP side, and an auditor that moves money to and fro and watches that none is made or lost."""

import contextlib
import json
import pathlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from ledger import db
from ledger.book import Book, Refused

STALE = 1.2


class Audit:
    """What the auditor found last, and when."""

    def __init__(self, settings):
        self._settings = settings
        self.problem = None
        self.well = time.monotonic()

    def run(self):
        """Moves 5 there and back, and more than there is, for ever."""
        with self.book() as book:
            for name, overdraft in (("audit:a", 10), ("audit:b", 0)):
                with contextlib.suppress(Refused):
                    book.open(name, overdraft)
            while True:
                try:
                    book.transfer("audit:a", "audit:b", 5, 1, "there")
                    book.transfer("audit:b", "audit:a", 5, 2, "back")
                    found = (book.balance("audit:a"), book.balance("audit:b"), book.total())
                    self.problem = None if found == (0, 0, 0) else f"the audit finds {found}"
                    with contextlib.suppress(Refused):
                        book.transfer("audit:b", "audit:a", 1000, 3, "too much")
                    self.well = time.monotonic()
                except Exception as problem:
                    self.problem = f"{type(problem).__name__}: {problem}"
                time.sleep(0.1)

    @contextlib.contextmanager
    def book(self):
        """A book with a connection of its own."""
        with contextlib.closing(db.connect(self._settings["file"], self._settings["busy_seconds"])) as connection:
            yield Book(connection)

    def health(self):
        """The answer to the operator's probe, which writes like any customer."""
        problem = self.problem
        if time.monotonic() - self.well > STALE:
            problem = problem or "the auditor does not come through"
        with self.book() as book:
            one, other = (f"probe:{time.monotonic_ns()}:{side}" for side in ("one", "other"))
            book.open(one, 1)
            book.open(other)
            book.transfer(one, other, 1, 1)
            book.transfer(other, one, 1, 2)
            lines = len(book.statement(one, 1, 2))
        return {"problem": problem, "lines": lines}


def serve(port):
    """Serves until it is ended: `/health`, `/open`, `/transfer`, `/balance`, `/statement`."""
    settings = db.settings()
    file = pathlib.Path(settings["file"])
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(db.connect(file, settings["busy_seconds"])) as connection:
        db.prepare(connection, settings["journal"])
    audit = Audit(settings)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            address = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(address.query).items()}
            try:
                status, document = 200, self.document(address.path, query)
            except (Refused, ValueError, KeyError) as problem:
                status, document = 400, {"error": str(problem)}
            except Exception as problem:
                status, document = 500, {"error": f"{type(problem).__name__}: {problem}"}
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def document(self, path, query):
            """What is answered."""
            if path == "/health":
                return audit.health()
            with audit.book() as book:
                if path == "/open":
                    return book.open(query["name"], int(query.get("overdraft", 0)))
                if path == "/transfer":
                    return book.transfer(query["from"], query["to"], int(query["amount"]), int(query["day"]))
                if path == "/balance":
                    return {"balance": book.balance(query["name"])}
                if path == "/statement":
                    return book.statement(query["name"], int(query["first"]), int(query["last"]))
            raise KeyError(path)

        def log_message(self, *_):
            """Requests are not logged."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        threading.Thread(target=audit.run, daemon=True).start()
        print(f"ledger: listening on {port}", flush=True)
        server.serve_forever()
