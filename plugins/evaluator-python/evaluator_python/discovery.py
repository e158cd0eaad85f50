"""Where tests are, and how they are imported. Test files are looked for everywhere below the start directories, as packages or
not, and each is imported from its own top directory, as `python -m unittest discover -s DIR` does it.
"""

import fnmatch
import importlib
import os
import sys
import unittest

from . import frozen, limits
from .explain import Explain
from .outcome import Case

# Directories that hold somebody else's tests.
OTHERS = {"__pycache__", "node_modules", "site-packages"}

# Entries that are looked at in a tree.
ENTRIES = 50_000

# Test files of one component.
FILES = 2_000


def files(root, settings):
    """Paths of test files, sorted; a text says why they cannot be told."""
    found, left = set(), ENTRIES
    waiting = [os.path.normpath(os.path.join(root, start)) for start in settings.start]
    while waiting:
        directory = waiting.pop()
        try:
            entries = list(os.scandir(directory))
        except (FileNotFoundError, NotADirectoryError):
            continue
        left -= len(entries)
        if left < 0 or len(found) > FILES:
            return f"more than {ENTRIES} files or {FILES} test files: name `start` in its settings"
        if any(entry.name == "pyvenv.cfg" for entry in entries):
            continue
        for entry in entries:
            name = entry.name
            if entry.is_dir(follow_symlinks=False):
                if not name.startswith(".") and name not in OTHERS:
                    waiting.append(entry.path)
            elif fnmatch.fnmatchcase(name, settings.pattern) and name.endswith(".py"):
                if name[:-3].isidentifier():
                    found.add(entry.path)
    return sorted(found)


def paths(root, deps, settings):
    """From where modules are imported: the component, then what it depends on, then what is frozen in."""
    own = [os.path.normpath(os.path.join(root, path)) for path in settings.path]
    own = [path for path in own if os.path.isdir(path)]
    return own, ([deps] if os.path.isdir(deps) else [])


def hide_ourselves(
    names=("evaluator_python", "wit_world", "componentize_py_types", "componentize_py_async_support", "poll_loop"),
):
    """The tree may have modules of these names, and has no business with ours."""
    for name in list(sys.modules):
        if name.partition(".")[0] in names:
            del sys.modules[name]


def give_way(directories):
    """Modules of the tree win over those of the standard library that are loaded already, as they would in a fresh
    interpreter; all but those that an interpreter running tests has loaded before it knows of the tree."""
    for directory in directories:
        try:
            entries = os.listdir(directory)
        except OSError:
            continue
        for entry in entries:
            name = entry.removesuffix(".py")
            if name not in sys.modules or name in frozen.BEFORE:
                continue
            if entry == name and not os.path.isfile(os.path.join(directory, entry, "__init__.py")):
                continue
            for loaded in list(sys.modules):
                if loaded == name or loaded.startswith(name + "."):
                    del sys.modules[loaded]


class Loaded:
    """A test that can be run: what it is called, and what makes it the test that it is."""

    __slots__ = ("id", "test", "unfit")

    def __init__(self, id, test, unfit):
        self.id, self.test, self.unfit = id, test, unfit


def load(root, files, places, watch, lacking):
    """Imports test files; the tests in them, and a case for each file that cannot be imported."""
    own, deps = places
    frozen_in = list(sys.path)
    tops = []
    loader = unittest.TestLoader()
    explain = Explain(root).explain
    tests, stillborn, ids = [], [], {}
    give_way(own)
    for file in files:
        top, name = module_of(root, file)
        if top not in tops and top not in own:
            tops.append(top)
            give_way([top])
        sys.path[:] = [top, *(path for path in own if path != top), *(other for other in tops if other != top), *deps, *frozen_in]
        prefix = os.path.relpath(file, root)[:-3].replace(os.sep, ".")
        watch.take()
        try:
            found = flat(loader.loadTestsFromModule(imported(name, file)))
        except BaseException as error:
            needed = watch.take()
            unfit = limits.in_words(needed) if needed else lacking.in_words(error)
            status = "not-evaluable" if unfit else "errored"
            stillborn.append(Case(prefix, status, unfit or explain(error, "cannot be imported: ")))
            continue
        needed = watch.take()
        unfit = limits.in_words(needed) if needed else None
        for test in found:
            tests.append(Loaded(unique(named(prefix, name, test), ids), test, unfit))
    return tests, stillborn


def module_of(root, file):
    """The top directory of a test file, and the module's name below it."""
    directory = os.path.dirname(file)
    top = directory
    while top != root and os.path.isfile(os.path.join(top, "__init__.py")):
        top = os.path.dirname(top)
    return top, os.path.relpath(file, top)[:-3].replace(os.sep, ".")


def imported(name, file):
    """The module of a test file; another one of the same name makes room."""
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) != file:
        del sys.modules[name]
        importlib.invalidate_caches()
    module = importlib.import_module(name)
    if getattr(module, "__file__", None) != file:
        raise ImportError(f"`{name}` is imported from `{module.__file__}`")
    return module


def flat(tests):
    """The tests of a suite, in its order."""
    found = []
    for test in tests:
        if isinstance(test, unittest.TestSuite):
            found += flat(test)
        else:
            found.append(test)
    return found


def named(prefix, module, test):
    """`tests.test_app.AppTest.test_ready`, wherever the module was imported from."""
    own = str(test.id())
    rest = own.removeprefix(module + ".")
    return f"{prefix}.{rest}"[:500]


def unique(id, ids):
    """Two tests of one name are told apart by their number."""
    ids[id] = ids.get(id, 0) + 1
    return id if ids[id] == 1 else f"{id}#{ids[id]}"


class Lacking:
    """What a tree needs and the sandbox does not have. A module that nobody can find is the component's mistake, if a file that
    the patch is about imports it; where other files do, too, or the component's requirements name it, it is not installed here."""

    def __init__(self, root, changed):
        self.root = root
        self.changed = {os.path.normpath(path) for path in changed}
        self.required = required(root)

    def in_words(self, error):
        """Why an error says nothing about the component; nothing if it does."""
        found = limits.missing(error)
        if found:
            return limits.in_words([found])
        if isinstance(error, ModuleNotFoundError) and error.name:
            top = error.name.partition(".")[0]
            if self.is_installed_elsewhere(top, error):
                return f"needs the module `{top}`: not installed in this sandbox"
        return None

    def is_installed_elsewhere(self, top, error):
        if any(os.path.exists(os.path.join(path, top + end)) for path in sys.path for end in ("", ".py")):
            return False
        if top.lower() in self.required:
            return True
        importer = None
        trace = error.__traceback__
        while trace is not None:
            name = trace.tb_frame.f_code.co_filename
            if name.startswith(self.root.rstrip("/") + "/"):
                importer = os.path.relpath(name, self.root)
            trace = trace.tb_next
        return importer is not None and importer not in self.changed


def required(root):
    """Names in `requirements*.txt`, as modules are usually called after them."""
    names = set()
    try:
        found = [name for name in os.listdir(root) if fnmatch.fnmatchcase(name, "requirements*.txt")]
    except OSError:
        return names
    for name in found[:16]:
        try:
            with open(os.path.join(root, name), encoding="utf-8", errors="replace") as file:
                text = file.read(1 << 16)
        except OSError:
            continue
        for line in text.splitlines():
            word = line.strip().partition("#")[0]
            for end in "[=<>!~; @":
                word = word.partition(end)[0]
            names.add(word.strip().lower().replace("-", "_"))
    return names - {""}
