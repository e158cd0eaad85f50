"""Holds the repair corpus to its promises: every bug shows, every fix repairs, every wrong patch is wrong.

    python3 tests/repair/verify.py [--jobs N] [--verbose] [SERVICE[/BUG] …]

It prints a line for each bug, and exits with 1 if anything is not as promised. The corpus is described in README.md.
"""

import argparse
import collections
import concurrent.futures
import json
import pathlib
import sys

from judge import diffs, gate
from judge.service import Service

HERE = pathlib.Path(__file__).resolve().parent
CLASSES = {
    "crash", "wrong-result", "leak", "deadlock", "bad-config", "missing-file", "port-clash", "encoding",
    "off-by-one", "timeout",
}  # fmt: skip
KEYS = {"class", "shows", "description", "error"}
LEAST_WRONG = 10


class Bug:
    """One bug on disk, and everything that is found wrong with it."""

    def __init__(self, directory):
        self.directory = directory
        self.service = directory.parent.parent
        self.name = f"{self.service.name}/{directory.name}"
        self.spec = (self.service / "service.json").read_text(encoding="utf-8")
        self.good = read_tree(self.service / "tree")
        self.problems = []
        self.caught = collections.Counter()
        self.lines = []

    def verify(self):
        """Checks all of it; the findings are in `problems`."""
        try:
            self._verify()
        except (diffs.DiffError, OSError, ValueError, KeyError) as problem:
            self.problems.append(f"{type(problem).__name__}: {problem}")
        return self

    def _verify(self):
        meta = json.loads((self.directory / "bug.json").read_text(encoding="utf-8"))
        if set(meta) != KEYS or meta["class"] not in CLASSES or not meta["shows"]:
            self.problems.append("bug.json: keys, class or shows are not those of README.md")
        self.cases, _ = self._suite(self.good)
        broken = diffs.apply(self._diff(self.directory / "break.diff"), self.good)
        shows = self._shows(broken)
        # On a busy machine, what degrades may do so before it was ever seen ready.
        if not all(way in shows or (way == "later" and "start" in shows) for way in meta["shows"]):
            self.problems.append(f"bug.json says it shows as {meta['shows']}, and it shows as {shows}")
        fix = self._diff(self.directory / "fix.diff")
        refused = gate.refusal(fix, broken, self._patch())
        if refused:
            self.problems.append(f"fix: the gate refuses it ({refused})")
        fixed = diffs.apply(fix, broken)
        for way, said in self._shows(fixed).items():
            self.problems.append(f"fix: {way}: {said}")
        wrong = sorted((self.directory / "wrong").glob("*.diff"))
        if len(wrong) < LEAST_WRONG:
            self.problems.append(f"{len(wrong)} wrong patches, at least {LEAST_WRONG} are needed")
        results = {}
        for file in wrong:
            self._wrong(file, broken, fixed, results)

    def _wrong(self, file, broken, fixed, results):
        patch = self._diff(file)
        reason = gate.refusal(patch, broken, self._patch())
        if reason:
            return self._note(file, "gate", reason)
        tree = diffs.apply(patch, broken)
        same = json.dumps(tree, sort_keys=True)
        if tree == fixed or same in results:
            self.problems.append(f"{file.name}: it makes the same as {results.get(same, 'the fix')}")
        results[same] = file.name
        cases, said = self._suite(tree)
        if said is None and cases != self.cases:
            said = f"{cases} of {self.cases} cases ran"
        if said:
            return self._note(file, "suite", said)
        way, said = self._run(tree)
        if way:
            return self._note(file, way, said)
        self.problems.append(f"{file.name}: nothing tells it from a repair")

    def _note(self, file, by, said):
        self.caught[by] += 1
        self.lines.append(f"    {file.name:<44} {by:<6} {said}")

    def _shows(self, tree):
        shows = {}
        _, said = self._suite(tree)
        if said:
            shows["suite"] = said
        way, said = self._run(tree)
        if way:
            shows[way] = said
        return shows

    def _suite(self, tree):
        with Service(self.spec, tree) as service:
            return service.suite()

    def _run(self, tree):
        with Service(self.spec, tree) as service:
            return service.run()

    def _patch(self):
        return json.loads(self.spec)["patch"]

    def _diff(self, file):
        try:
            return diffs.read(file.read_text(encoding="utf-8"))
        except diffs.DiffError as problem:
            raise diffs.DiffError(f"{file.name}: {problem}") from None

    def row(self):
        """A line for people."""
        caught = ", ".join(f"{by} {self.caught[by]}" for by in ("gate", "suite", "start", "later") if self.caught[by])
        return f"{'ok ' if not self.problems else 'BAD'} {self.name:<36} wrong {self.caught.total():>3}: {caught}"


def read_tree(directory):
    """Every file below a directory, by path. Caches are not part of a tree."""
    files = (file for file in sorted(directory.rglob("*")) if file.is_file() and "__pycache__" not in file.parts)
    return {file.relative_to(directory).as_posix(): file.read_text(encoding="utf-8") for file in files}


def sound(directory):
    """What is wrong with a good tree, which every bug of its service is made from."""
    with Service((directory / "service.json").read_text(encoding="utf-8"), read_tree(directory / "tree")) as service:
        _, said = service.suite()
        way, seen = service.run()
    return [f"{directory.name}: {by}: {what}" for by, what in (("suite", said), (way, seen)) if what]


def wanted(names):
    """The bugs that the arguments name; all without any."""
    every = sorted(file.parent for file in HERE.glob("*/bugs/*/bug.json"))
    chosen = [
        bug for bug in every
        if not names or any(name in (bug.parent.parent.name, f"{bug.parent.parent.name}/{bug.name}") for name in names)
    ]  # fmt: skip
    if not chosen:
        sys.exit(f"no such bug: {' '.join(names)}")
    return [Bug(directory) for directory in chosen]


def main():
    """Verifies, prints, and says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="SERVICE[/BUG]")
    parser.add_argument("--jobs", type=int, default=2, help="bugs at a time (default: 2)")
    parser.add_argument("--verbose", action="store_true", help="tell for each wrong patch what caught it")
    arguments = parser.parse_args()
    bugs = wanted(arguments.names)
    totals = collections.Counter()
    services = sorted({bug.service for bug in bugs})
    with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
        unsound = [problem for problems in pool.map(sound, services) for problem in problems]
        if unsound:
            sys.exit("\n".join(["the good tree is not good", *unsound]))
        for bug in pool.map(Bug.verify, bugs):
            print(bug.row(), *(f"    {problem}" for problem in bug.problems), sep="\n", flush=True)
            if arguments.verbose:
                print(*bug.lines, sep="\n", flush=True)
            totals.update(bug.caught)
    bad = sum(bool(bug.problems) for bug in bugs)
    by = ", ".join(f"{count} by {way}" for way, count in totals.most_common())
    print(f"{len(services)} services, {len(bugs)} bugs, {totals.total()} wrong patches caught: {by}")
    print(f"{bad} bugs are not as promised" if bad else "all is as promised")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
