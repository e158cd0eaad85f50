"""A tree of one service on disk: its suite, and the service itself as a real process under its own probe."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import time

from . import probes

READY_WITHIN = 4.0
RAN = re.compile(r"^Ran (\d+) tests? in ", re.MULTILINE)


def spec(text):
    """A `service.json` with ports of its own: `{port}` and `{port2}` are two that follow each other."""
    port = _ports()
    return json.loads(text.replace("{port2}", str(port + 1)).replace("{port}", str(port)))


def _ports():
    """Two neighbours below the range of ports that the system gives to connections, so that nobody is given them."""
    for _ in range(1000):
        port = 10_000 + int.from_bytes(os.urandom(2), "big") % 20_000
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                for number in (port, port + 1):
                    stack.enter_context(socket.socket(socket.AF_INET, kind)).bind(("127.0.0.1", number))
            return port
    raise RuntimeError("no two free ports follow each other")


class Service:
    """One tree, written to a directory that goes with it."""

    def __init__(self, text, tree):
        self.spec = spec(text)
        self._temporary = tempfile.TemporaryDirectory(prefix="repair-", ignore_cleanup_errors=True)
        self.directory = pathlib.Path(self._temporary.name, "tree")
        self.output = pathlib.Path(self._temporary.name, "output")
        for path, content in tree.items():
            file = self.directory / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content, encoding="utf-8", newline="")
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        self.env = kept | {"PYTHONDONTWRITEBYTECODE": "1", "TMPDIR": self._temporary.name}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._temporary.cleanup()

    def suite(self):
        """How many cases ran and what was wrong, in words; None if nothing was."""
        tests = self.spec["repair"]["tests"]
        try:
            with self._running(tests["command"], self.env, subprocess.PIPE) as process:
                output, _ = process.communicate(timeout=probes.seconds(tests["timeout"]))
        except subprocess.TimeoutExpired:
            return 0, "the suite does not end"
        said = output.decode(errors="replace")
        ran = RAN.search(said)
        if process.returncode != 0:
            bad = re.findall(r"^(?:FAIL|ERROR): (\S+)", said, re.MULTILINE)
            return int(ran[1]) if ran else 0, "failing: " + (", ".join(sorted(set(bad))) or said.strip()[-120:])
        if not ran or not said.rstrip().endswith("OK"):
            return 0, "the suite ends without a result"
        return int(ran[1]), None

    def run(self):
        """`start` or `later` with what was wrong, or None twice if it gets ready and stays healthy."""
        health = self.spec["health"]
        hold = probes.seconds(self.spec["repair"]["hold"])
        interval, allowed = probes.seconds(health["interval"]), health["failures"]
        env = self.env | self.spec.get("env", {})
        self.output.write_bytes(b"")
        with self.output.open("ab") as output, self._running(self.spec["entrypoint"], env, output) as process:
            ends, said = time.monotonic() + READY_WITHIN, "it was never asked"
            while said is not None:
                if process.poll() is not None:
                    return "start", f"ended with {process.returncode}: {self._last_line()}"
                if time.monotonic() > ends:
                    return "start", f"never ready: {said}"
                time.sleep(0.05)
                said = probes.ask(health, self)
            ends, failed = time.monotonic() + hold, 0
            while time.monotonic() < ends or 0 < failed < allowed:
                time.sleep(interval)
                if process.poll() is not None:
                    return "later", f"ended with {process.returncode}: {self._last_line()}"
                said = probes.ask(health, self)
                failed = 0 if said is None else failed + 1
                if failed >= allowed:
                    return "later", said
        return None, None

    def _last_line(self):
        lines = self.output.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    @contextlib.contextmanager
    def _running(self, argv, env, output):
        process = subprocess.Popen(
            argv,
            cwd=self.directory,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if process.stdout:
                process.stdout.close()
