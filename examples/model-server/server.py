"""A model server that speaks what models' servers speak, and says what a script says.

    python3 server.py SCRIPT.json [--host 127.0.0.1] [--port 18650] [--key KEY] [--log FILE]

It prints `listening on http://HOST:PORT/v1/chat/completions` once it does. Python standard library only. The script is one
JSON object; see README.md beside this file.
"""

import argparse
import http.server
import json
import socket
import sys
import threading
import time

# A folder of examples is no place for compiled code.
sys.dont_write_bytecode = True

import formats  # noqa: E402
import vendors  # noqa: E402

PATH = "/v1/chat/completions"
LONGEST_REQUEST = 64 << 20


class Script:
    """The answers, one after the other. The last one is given again and again."""

    def __init__(self, document):
        self.model = document.get("model", "scripted-1")
        self.models = document.get("models")
        self.vendor = document.get("vendor", "openai")
        self.insists = document.get("insists_on_stream", False)
        self.tool_parser = document.get("tool_parser", True)
        self.asides = document.get("asides", [])
        if self.vendor not in vendors.FAULTS:
            raise ValueError(f"`vendor` is one of {', '.join(vendors.FAULTS)}")
        self.turns = document["turns"]
        self.lock = threading.Lock()
        self.at = 0
        if not isinstance(self.turns, list) or not self.turns:
            raise ValueError("`turns` is a list of at least one answer")
        for turn in self.turns:
            check(turn)

    def next(self, request):
        text = json.dumps(request, ensure_ascii=False)
        for aside in self.asides:
            if aside["about"] in text:
                return {key: value for key, value in aside.items() if key != "about"}
        with self.lock:
            turn = self.turns[min(self.at, len(self.turns) - 1)]
            self.at += 1
            return turn


KINDS = ("say", "call", "suggest", "fault", "raw", "hang", "drip", "oversize", "close")
MORE = ("delay", "finish", "reasoning", "retry_after", "status", "usage", "expect", "stream", "cut")


def check(turn):
    """A turn is one kind of answer, and what belongs to it."""
    kinds = [key for key in turn if key in KINDS]
    strange = [key for key in turn if key not in KINDS + MORE]
    if len(kinds) != 1 or strange:
        raise ValueError(f"a turn has exactly one of {', '.join(KINDS)}: {turn}")
    if "fault" in turn and turn["fault"] not in vendors.NAMES:
        raise ValueError(f"a fault is one of {', '.join(vendors.NAMES)}: {turn}")


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_POST(self):
        body = self.body()
        if body is None:
            return
        form = formats.PATHS.get(self.path.split("?")[0])
        if form is None:
            return self.document(404, {"error": {"type": "invalid_request_error", "message": f"No route {self.path}"}})
        script = self.server.script
        try:
            request = json.loads(body)
            missing = formats.missing(form, request)
        except ValueError:
            request, missing = {}, ["JSON"]
        if not self.has_key():
            return self.fault("bad-key", {}, request)
        if missing:
            return self.invalid(f"missing: {', '.join(missing)}")
        self.record(request)
        if script.models is not None and "model" in request and request["model"] not in script.models:
            return self.fault("no-model", {}, request)
        refused = vendors.refused(script.vendor, request, script)
        if refused:
            return self.document(*refused)
        turn = script.next(request)
        problem = unexpected(turn.get("expect", {}), request)
        if problem:
            return self.invalid(f"the script expected {problem}")
        time.sleep(turn.get("delay", 0))
        self.answer(form, turn, request, script)

    def has_key(self):
        """Whether the request has the key, in one of the headers that services look for it in."""
        wanted, named = self.server.key, self.headers.get("authorization")
        return wanted is None or named == f"Bearer {wanted}" or self.headers.get("x-api-key") == wanted

    def body(self):
        """The request's body, in one piece or in chunks."""
        if "chunked" in self.headers.get("transfer-encoding", ""):
            parts = []
            while size := int(self.rfile.readline(64).split(b";")[0], 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline(64)
            self.rfile.readline(64)
            return b"".join(parts)
        length = int(self.headers.get("content-length", 0))
        if length > LONGEST_REQUEST:
            self.close_connection = True
            self.document(413, {"error": {"type": "invalid_request_error", "message": "too large"}})
            return None
        return self.rfile.read(length)

    def record(self, request):
        """What was asked, one JSON object a line, with the headers that matter."""
        if self.server.log is not None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            line = json.dumps({"path": self.path, "headers": headers, "body": request})
            with self.server.lock, open(self.server.log, "a", encoding="utf-8") as log:
                log.write(line + "\n")

    def answer(self, form, turn, request, script):
        if "fault" in turn:
            self.fault(turn["fault"], turn, request)
        elif "raw" in turn:
            self.send(turn.get("status", 200), turn["raw"].encode(), "text/html")
        elif "hang" in turn:
            # Says nothing, and keeps the connection: until the other side gives up.
            self.wait(turn["hang"])
        elif "close" in turn:
            self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"choi")
            self.close_connection = True
        elif "drip" in turn:
            self.drip(formats.whole(form, {**turn, "say": turn["drip"]}, request, script)[0])
        elif "oversize" in turn:
            self.oversize(turn["oversize"])
        elif form in ("chat", "completions") and turn.get("stream", request.get("stream") is True):
            self.stream(formats.events(form, turn, request, script), turn.get("cut"))
        else:
            self.send(200, *formats.whole(form, turn, request, script))

    def fault(self, name, turn, request):
        model = request.get("model") if isinstance(request, dict) else None
        status, body = vendors.fault(self.server.script.vendor, name, model)
        self.document(status, body, turn.get("retry_after"))

    def invalid(self, message):
        self.document(400, {"error": {"type": "invalid_request_error", "message": message}})

    def document(self, status, body, retry_after=None):
        headers = {} if retry_after is None else {"retry-after": str(retry_after)}
        self.send(status, json.dumps(body).encode(), "application/json", headers)

    def stream(self, events, cut):
        """Server-sent events; with `cut`, only so many, and then the connection ends."""
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in events[:cut]:
            self.wfile.write(f"data: {event}\n\n".encode())
            self.wfile.flush()

    def send(self, status, body, content_type, headers=None):
        self.send_response(status)
        for name, value in {"content-type": content_type, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def drip(self, body):
        """A byte every fifty milliseconds: an answer that never quite stops coming."""
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        for byte in body:
            self.wfile.write(bytes([byte]))
            self.wfile.flush()
            if self.server.stopping.wait(0.05):
                break

    def oversize(self, size):
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(size))
        self.end_headers()
        piece = b"x" * 65536
        while size > 0:
            self.wfile.write(piece[:size])
            size -= len(piece)

    def wait(self, seconds):
        self.close_connection = True
        self.connection.settimeout(0.1)
        end = time.monotonic() + seconds
        while time.monotonic() < end and not self.server.stopping.is_set():
            try:
                if self.connection.recv(1) == b"":
                    return
            except TimeoutError:
                pass

    def log_message(self, *_):
        """Nothing: what was asked is in `--log`."""


def unexpected(expected, request):
    """Why a request is not what the script waits for, or nothing."""
    text = json.dumps(request, ensure_ascii=False)
    for part in expected.get("contains", []):
        if part not in text:
            return f"{part!r} in the request"
    for part in expected.get("absent", []):
        if part in text:
            return f"no {part!r} in the request"
    if "tools" in expected and bool(request.get("tools")) != expected["tools"]:
        return f"tools: {expected['tools']}"
    return None


class Server(http.server.ThreadingHTTPServer):
    """Threads, so that an answer that hangs keeps nobody else waiting."""

    daemon_threads = True

    def __init__(self, address, script, key, log):
        super().__init__(address, Handler)
        self.script, self.key, self.log = script, key, log
        self.lock, self.stopping = threading.Lock(), threading.Event()

    def handle_error(self, request, client_address):
        """The other side went away, as it does when its time is up."""
        if not isinstance(sys.exc_info()[1], (ConnectionError, TimeoutError, socket.timeout)):
            super().handle_error(request, client_address)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("script", help="what to answer: a JSON file")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=18650, help="0 for any that is free")
    parser.add_argument("--key", help="the key that requests must carry; without it, any or none")
    parser.add_argument("--log", help="a file that gets every request, one JSON object a line")
    arguments = parser.parse_args()
    try:
        with open(arguments.script, encoding="utf-8") as file:
            script = Script(json.load(file))
    except (OSError, ValueError, KeyError, TypeError) as error:
        sys.exit(f"{arguments.script}: {error}")
    server = Server((arguments.host, arguments.port), script, arguments.key, arguments.log)
    host, port = server.server_address[:2]
    print(f"listening on http://{host}:{port}{PATH}", flush=True)
    try:
        server.serve_forever(poll_interval=0.1)
    except KeyboardInterrupt:
        server.stopping.set()


if __name__ == "__main__":
    main()
