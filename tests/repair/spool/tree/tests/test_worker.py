"""What rounds promise."""

import json
import pathlib
import tempfile
import unittest

from spool.worker import Worker


class Rounds(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.home = pathlib.Path(directory.name, "deep", "spool")

    def worker(self, keep=3):
        return Worker(self.home, interval_ms=10, keep=keep)

    def names(self, directory):
        return sorted(file.name for file in directory.iterdir())

    def test_its_directories_are_made(self):
        worker = self.worker()
        self.assertEqual(self.names(self.home), ["done", "inbox", "outbox"])
        self.assertEqual(worker.round(), [])
        self.assertEqual(self.worker().round(), [])

    def test_files_are_summarized_and_moved(self):
        worker = self.worker()
        (worker.inbox / "b.csv").write_bytes("Røros;1\nRøros;2\n".encode("cp1252"))
        (worker.inbox / "a.csv").write_bytes(b"x;1\n")
        (worker.inbox / "c.part").write_bytes(b"x;")
        self.assertEqual(worker.round(), ["a.csv", "b.csv"])
        self.assertEqual(self.names(worker.inbox), ["c.part"])
        self.assertEqual(self.names(worker.done), ["a.csv", "b.csv"])
        found = json.loads((worker.outbox / "b.json").read_text(encoding="utf-8"))
        self.assertEqual(found["stations"]["Røros"]["mean"], 1.5)

    def test_what_cannot_be_read_is_reported_and_holds_nothing_up(self):
        worker = self.worker()
        (worker.inbox / "a.csv").write_bytes(b"x;one\n")
        (worker.inbox / "b.csv").write_bytes(b"")
        (worker.inbox / "c.csv").write_bytes(b"x;1\n")
        self.assertEqual(worker.round(), ["a.csv", "b.csv", "c.csv"])
        self.assertIn("line 1", json.loads((worker.outbox / "a.json").read_text())["error"])
        self.assertIsNone(json.loads((worker.outbox / "b.json").read_text())["mean"])
        self.assertEqual(json.loads((worker.outbox / "c.json").read_text())["mean"], 1.0)

    def test_the_latest_files_are_kept(self):
        for keep in (1, 2, 4):
            worker = self.worker(keep)
            for number in range(1, 8):
                (worker.inbox / f"{number}.csv").write_bytes(b"x;1\n")
                worker.round()
                kept = range(max(1, number - keep + 1), number + 1)
                self.assertEqual(self.names(worker.done), [f"{n}.csv" for n in kept], f"keep {keep}")
                self.assertEqual(self.names(worker.outbox), [f"{n}.json" for n in kept], f"keep {keep}")
            for file in [*worker.done.iterdir(), *worker.outbox.iterdir()]:
                file.unlink()
