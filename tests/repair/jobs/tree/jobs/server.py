"""The HTTP sides, and a round of jobs with known answers that never stops."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote
from urllib.request import urlopen

from jobs.kinds import KINDS
from jobs.pool import Pool

STALE = 1.5
REMEMBERED = 60
ROUND = [
    ("words", "to be or not to be", "done", {"to": 2, "be": 2, "or": 1, "not": 1}),
    ("primes", "20", "done", [2, 3, 5, 7, 11, 13, 17, 19]),
    ("mean", "", "failed", "ZeroDivisionError: division by zero"),
    ("mean", "1 2 6", "done", 3.0),
]


class Service:
    """The pool, and since when its rounds come through."""

    def __init__(self):
        self.pool = Pool(KINDS)
        self.well = time.monotonic()

    def rounds(self):
        """Submits the round again and again, and notes when all its answers were right."""
        while True:
            numbers = [self.pool.submit(kind, argument) for kind, argument, _, _ in ROUND]
            jobs = [self.pool.wait(number, 5) for number in numbers]
            if [(job.state, job.result) for job in jobs] == [(state, result) for _, _, state, result in ROUND]:
                self.well = time.monotonic()
            time.sleep(0.05)

    def health(self):
        """What is wrong, in words; nothing if all is well."""
        figures = self.pool.figures()
        if time.monotonic() - self.well > STALE:
            yield "jobs do not come through"
        if figures["workers"] != 3:
            yield f"{figures['workers']} workers live"
        if figures["remembered"] > REMEMBERED:
            yield f"{figures['remembered']} jobs are remembered"


def handler(routes):
    """A handler for routes: a first part of the path, and what answers to the rest."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            first, _, rest = self.path.lstrip("/").partition("/")
            try:
                status, document = routes[first](unquote(rest))
            except (LookupError, ValueError) as problem:
                status, document = 404, {"error": str(problem)}
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Requests are not logged."""

    return Handler


def serve(port, admin_port):
    """Serves until it is ended: `/submit/KIND/ARGUMENT`, `/job/NUMBER`, `/health`; and `/figures` for operators."""
    service = Service()

    def submit(rest):
        kind, _, argument = rest.partition("/")
        return 202, {"job": service.pool.submit(kind, argument)}

    def job(rest):
        found = service.pool.wait(int(rest), 0.5)
        return 200, {"state": found.state, "result": found.result}

    def health(_):
        with urlopen(f"http://127.0.0.1:{admin_port}/figures", timeout=0.5) as answer:
            figures = json.load(answer)
        problems = list(service.health())
        return (503 if problems else 200), {"problems": problems, "workers": figures["workers"]}

    admin = ThreadingHTTPServer(("127.0.0.1", admin_port), handler({"figures": lambda _: (200, service.pool.figures())}))
    threading.Thread(target=admin.serve_forever, daemon=True).start()
    main = ThreadingHTTPServer(("127.0.0.1", port), handler({"submit": submit, "job": job, "health": health}))
    threading.Thread(target=service.rounds, daemon=True).start()
    print(f"jobs: listening on {port} and {admin_port}", flush=True)
    main.serve_forever()
