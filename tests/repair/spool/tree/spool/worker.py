"""The rounds: what lies in `inbox` is summarized into `outbox` and moved to `done`, of which the latest are kept."""

import json
import pathlib
import resource
import time

from spool.readings import Unreadable, decode, parse, summarize

HERE = pathlib.Path(__file__).resolve().parent
SAMPLES = {
    "plain": "Oslo;1.5\nRøros;-2\nOslo;2.5\n".encode("utf-8"),
    "windows": "Røros;3,25\r\n# Ålesund;9\r\n".encode("cp1252"),
    "nothing": b"\n",
}


def settings():
    """What the operator may set: milliseconds between rounds, files that are kept, files that may be open."""
    return json.loads((HERE / "settings.json").read_text(encoding="utf-8"))


class Worker:
    """One directory and what is done in it."""

    def __init__(self, home, interval_ms, keep, files=None):
        self._interval = interval_ms / 1000
        self._keep = keep
        self.inbox, self.outbox, self.done = (home / name for name in ("inbox", "outbox", "done"))
        for directory in (self.inbox, self.outbox, self.done):
            directory.mkdir(parents=True, exist_ok=True)
        if files is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))

    def run(self):
        """Works until it is ended. Every round brings samples with it, and logs how it went."""
        print("spool: ready", flush=True)
        for number in range(1, 10**9):
            try:
                self._bring(number)
                print(f"spool: round {number}: {', '.join(self.round()) or 'nothing'}", flush=True)
                self._compare(number)
            except Exception as problem:
                print(f"spool: ERROR in round {number}: {type(problem).__name__}: {problem}", flush=True)
            time.sleep(self._interval)

    def round(self):
        """The names of the files that were worked off, in order."""
        names = []
        for file in sorted(self.inbox.iterdir()):
            if file.suffix != ".csv":
                continue
            try:
                with file.open("rb") as opened:
                    summary = summarize(parse(decode(opened.read())))
            except Unreadable as problem:
                summary = {"error": str(problem)}
            text = json.dumps(summary, ensure_ascii=False, indent=1)
            (self.outbox / f"{file.stem}.json").write_text(text, encoding="utf-8")
            file.rename(self.done / file.name)
            names.append(file.name)
        self._tidy(self.done)
        self._tidy(self.outbox)
        return names

    def _tidy(self, directory):
        """Keeps the latest files; names tell which those are."""
        files = sorted(directory.iterdir())
        for file in files[: max(0, len(files) - self._keep)]:
            file.unlink()

    def _bring(self, number):
        for name, data in SAMPLES.items():
            part = self.inbox / f"{number:09}-{name}.part"
            part.write_bytes(data)
            part.rename(part.with_suffix(".csv"))

    def _compare(self, number):
        """What became of this round's samples."""
        means = {"plain": 0.67, "windows": 3.25, "nothing": None}
        for name, mean in means.items():
            file = self.outbox / f"{number:09}-{name}.json"
            found = json.loads(file.read_text(encoding="utf-8"))
            if found["mean"] != mean or name == "windows" and list(found["stations"]) != ["Røros"]:
                raise RuntimeError(f"the sample `{name}` became {found}")
