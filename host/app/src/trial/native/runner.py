"""Runs the component's own tests as `python -m unittest` does, and tells the judge outside how each of them ends.

What it tells goes through a descriptor that nobody else was given, and each word of it begins with a token that is said
once, before any other code runs. All of this is in the same interpreter as the code under test, so it is no wall: it is
there so that who ends the interpreter, changes `unittest` or writes in its name is noticed. What it runs besides, the
host's own tests, must fail and must pass.
"""

import os
import sys

if sys.path and sys.path[0] == os.path.dirname(os.path.abspath(__file__)):
    del sys.path[0]

import time
import unittest

OWNERS = [
    unittest.TestCase,
    unittest.TestSuite,
    unittest.BaseTestSuite,
    unittest.TestResult,
    unittest.TestLoader,
    unittest.TestProgram,
    unittest.FunctionTestCase,
    unittest.case,
    unittest.case._Outcome,
    unittest.loader,
    unittest.result,
    unittest.suite,
]


OVERRIDDEN = ("run", "debug", "subTest", "doCleanups", "__call__")


def callables(owner):
    """What of it can be called, by name, with the code behind it. Never compared by what it says of itself."""
    found = {}
    for name, value in vars(owner).items():
        value = getattr(value, "__func__", value)
        if callable(value):
            found[name] = (id(value), id(getattr(value, "__code__", None)))
    return found


def method(test):
    """What makes a test the one that it is."""
    kind = type(test)
    parts = []
    for name in (getattr(test, "_testMethodName", ""), "setUp", "tearDown", *OVERRIDDEN):
        found = getattr(kind, name, None)
        parts += [id(found), id(getattr(found, "__code__", None))]
    parts += [name for name in vars(test) if name in OVERRIDDEN or name.startswith(("assert", "fail", "_call"))]
    return parts


class Guard:
    """Compares what runs tests with what it was before any other code was loaded."""

    def __init__(self):
        # What is kept is not made anew elsewhere in memory.
        owners = [*OWNERS, Guard, Names, Result, Runner]
        self.kept = [dict(vars(owner)) for owner in (*owners, sys.modules["builtins"])]
        self.before = [(owner, callables(owner)) for owner in owners]
        self.built_in = callables(sys.modules["builtins"])
        self.tests = {}

    def loaded(self, tests):
        """From now on these are what they are."""
        self.tests = {id(test): method(test) for test in tests}

    def changed(self, test=None, at_the_end=False):
        """What is other than it was, in words."""
        for owner, before in self.before:
            now = callables(owner)
            if now != before:
                names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
                return f"`{owner.__name__}.{names[0]}` was replaced"
        if test is not None and id(test) in self.tests and self.tests[id(test)] != method(test):
            return f"the test `{test.id()}` was replaced"
        if at_the_end:
            now = callables(sys.modules["builtins"])
            names = [name for name, value in self.built_in.items() if now.get(name) != value]
            if names:
                return f"the built-in `{names[0]}` was replaced"
        return None


def line(descriptor):
    """Reads what the judge says, and returns how to speak to him, and where his own tests are."""
    heard = b""
    while piece := os.read(descriptor, 65536):
        heard += piece
    token, *planted = heard.decode().splitlines()
    os.set_inheritable(descriptor, False)
    write, process, own = os.write, os.getpid, os.getpid()

    def tell(word, about=""):
        # A child that a test has forked and that comes back speaks for nobody.
        if process() != own:
            return
        about = about.encode("unicode_escape", "backslashreplace")[:2000]
        text = f"{token} {word} ".encode() + about + b"\n"
        while text:
            text = text[write(descriptor, text) :]

    return tell, planted


def flat(tests):
    """The tests of a suite, in its order."""
    for test in tests:
        if isinstance(test, unittest.BaseTestSuite):
            yield from flat(test)
        else:
            yield test


class Names:
    """What tests are called: after their files, however they were imported."""

    def __init__(self, root):
        self.root = root
        self.count = {}

    def dotted(self, file):
        """`tests.test_app` for a file below the component's directory."""
        path = os.path.relpath(os.path.abspath(file), self.root)
        inside = path.endswith(".py") and not path.startswith(os.pardir)
        return path[:-3].replace(os.sep, ".") if inside else None

    def of(self, test):
        """The name of a test; it is asked once for each."""
        kind = type(test)
        if kind.__name__ == "_FailedTest" and kind.__module__ == "unittest.loader":
            # The file itself: it could not be imported.
            name = test._testMethodName
            files = [os.path.join(top, *name.split(".")) + ".py" for top in (self.root, *sys.path)]
            found = next(filter(os.path.isfile, files), None)
            return self.once((found and self.dotted(found)) or name)
        own = str(test.id())
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        prefix = self.dotted(file) if file else None
        rest = own[len(kind.__module__) + 1 :] if own.startswith(kind.__module__ + ".") else None
        return self.once(f"{prefix}.{rest}" if prefix and rest else own)

    def once(self, name):
        self.count[name] = self.count.get(name, 0) + 1
        return name if self.count[name] == 1 else f"{name}#{self.count[name]}"


class Result(unittest.TestResult):
    """Tells how each test ends, and keeps what people read of those that are the component's."""

    def __init__(self, tell, guard, known, quiet):
        super().__init__()
        self.tell, self.guard, self.quiet = tell, guard, quiet
        self.names = {key: name for key, (_, name) in known.items()}
        self.groups = {name: (type(test).__module__, type(test).__qualname__) for test, name in known.values()}
        self.bad = {}

    def look(self, test):
        changed = self.guard.changed(test)
        if changed:
            self.tell("tampered", changed)

    def startTest(self, test):
        super().startTest(test)
        self.look(test)

    def stopTest(self, test):
        self.look(test)
        super().stopTest(test)

    def end(self, test, word, error=None):
        test = getattr(test, "test_case", test)
        name = self.names.get(id(test))
        if name is not None:
            self.tell(word, name)
        elif word != "passed":
            # A class or a module could not be prepared or cleared up: that is an end of all tests in it.
            inside = str(test.id()).partition("(")[2].rstrip(")")
            for other, (module, kind) in self.groups.items():
                if inside in (module, f"{module}.{kind}"):
                    self.tell(word, other)
            name = str(test.id())
        if error is not None and name not in self.quiet:
            self.bad.setdefault(name, self._exc_info_to_string(error, test))

    def addSuccess(self, test):
        self.end(test, "passed")

    def addFailure(self, test, error):
        self.end(test, "failed", error)

    def addError(self, test, error):
        self.end(test, "failed", error)

    def addSkip(self, test, reason):
        self.end(test, "skipped")

    def addExpectedFailure(self, test, error):
        self.end(test, "passed")

    def addUnexpectedSuccess(self, test):
        self.end(test, "failed", (AssertionError, AssertionError("it is marked as one that fails, and passes"), None))

    def addSubTest(self, test, subtest, error):
        if error is not None:
            self.end(test, "failed", error)

    def addDuration(self, test, elapsed):
        pass


class Runner:
    """What `unittest` gives the tests to that it has found."""

    def __init__(self, tell, guard, planted, root):
        self.tell, self.guard, self.planted, self.root = tell, guard, planted, root
        self.ran = None

    def run(self, suite):
        """Runs all of it, and the judge's own tests, if they are not among it."""
        names = Names(self.root)
        known = {id(test): (test, names.of(test)) for test in flat(suite)}
        planted = {path: names.dotted(os.path.join(self.root, path)) for path in self.planted}
        for path, dotted in planted.items():
            if not any(name.startswith(f"{dotted}.") for _, name in known.values()):
                module = imported(os.path.join(self.root, path), self.root)
                more = unittest.TestLoader().loadTestsFromModule(module)
                known.update({id(test): (test, names.of(test)) for test in flat(more)})
                suite = unittest.TestSuite([suite, more])
        self.guard.loaded(test for test, _ in known.values())
        quiet = {name for _, name in known.values() if name.startswith(tuple(f"{one}." for one in planted.values()))}
        result = Result(self.tell, self.guard, known, quiet)
        for _, name in known.values():
            self.tell("case", name)
        loading = self.guard.changed()
        began = time.perf_counter()
        suite.run(result)
        changed = loading or self.guard.changed(at_the_end=True)
        if changed:
            self.tell("tampered", changed)
        for name, text in result.bad.items():
            print(f"{'=' * 70}\n{name}\n{'-' * 70}\n{text}", file=sys.stderr)
        took = time.perf_counter() - began
        print(f"{'-' * 70}\nRan {len(known) - len(quiet)} tests in {took:.3f}s\n", file=sys.stderr)
        print(f"FAILED ({len(result.bad)})" if result.bad else "OK", file=sys.stderr)
        self.ran = not result.bad
        self.tell("end")
        return result


def imported(file, root):
    """The module of a test file, from the directory in which its packages begin."""
    top, name = os.path.split(file[:-3])
    while top != root and os.path.isfile(os.path.join(top, "__init__.py")):
        top, package = os.path.split(top)
        name = f"{package}.{name}"
    if top not in sys.path:
        sys.path.insert(0, top)
    __import__(name)
    return sys.modules[name]


def main():
    """Runs what the arguments name, and says by the exit code whether all of it is well."""
    tell, planted = line(int(sys.argv[1]))
    root = os.getcwd()
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        sys.path.insert(0, root)
    sys.argv[:2] = ["python -m unittest"]
    runner = Runner(tell, Guard(), planted, root)
    try:
        unittest.TestProgram(module=None, testRunner=runner, exit=False)
    except SystemExit as asked:
        # Whoever leaves before all is told has told nothing.
        sys.exit(asked.code or 1)
    sys.exit(0 if runner.ran else 1)


if __name__ == "__main__":
    main()
