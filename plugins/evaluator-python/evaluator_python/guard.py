"""What a tree under test may not touch: the classes that run tests, the classes that carry the answer, the built-in functions,
and the tests themselves once they are loaded. All of it is in the same interpreter and nothing can keep the code under test
from reaching it; so it is compared with what it was, before and after each test. Whoever changes it and changes it back in
between is caught by the sentinel tests that the host plants, or by the service itself when it is started.
"""

import builtins
import importlib
import operator
import sys
import types
import unittest
import unittest.async_case
import unittest.case
import unittest.loader
import unittest.result
import unittest.suite
import unittest.util

RUNNERS = (
    unittest.TestCase,
    unittest.IsolatedAsyncioTestCase,
    unittest.FunctionTestCase,
    unittest.TestSuite,
    unittest.BaseTestSuite,
    unittest.TestResult,
    unittest.TestLoader,
    unittest.case._Outcome,
    unittest.case._SubTest,
    unittest.case._AssertRaisesContext,
    unittest.case._AssertRaisesBaseContext,
    unittest.case,
    unittest.suite,
    unittest.result,
    unittest.loader,
    unittest.util,
    unittest,
)

# On a test itself, these would stand before the class's own.
OVERRIDES = ("assert", "fail", "_callTest", "_callSetUp", "_callTearDown", "_callCleanup", "_feedErrors")
OVERRIDDEN = frozenset(("run", "debug", "subTest", "doCleanups", "__call__"))


def _functions(owner):
    """What can be called, by name."""
    return {name: value for name, value in vars(owner).items() if callable(value) or isinstance(value, (classmethod, staticmethod, property))}


def _changed(owner, before):
    """The name of what is other than it was."""
    now = vars(owner)
    for name, value in before.items():
        if now.get(name) is not value:
            return f"`{owner.__name__}.{name}` was replaced"
    return ""


def _watch(owner):
    """What is looked at after each test, in the form in which looking is quick."""
    before = _functions(owner)
    return owner, before, vars(owner).get, tuple(before), tuple(before.values())


class Guard:
    """Compares. What it compares with was taken when the component was built."""

    def __init__(self, answers):
        always = [_watch(owner) for owner in RUNNERS]
        at_the_ends = [_watch(owner) for owner in (*answers, importlib)]
        code = {}
        for _, _, _, _, values in (*always, *at_the_ends):
            for value in values:
                value = getattr(value, "__func__", value)
                if isinstance(value, types.FunctionType):
                    code[value] = value.__code__
        functions, codes = tuple(code), tuple(code.values())
        # Only these tell a result that a test went well.
        witnesses = {getattr(unittest.TestCase, name).__code__ for name in ("run", "_addExpectedFailure")}
        witnesses.add(unittest.case._addSkip.__code__)
        state = {"how": "", "hooks": (), "tests": {}, "results": []}

        def caught(how):
            if how and not state["how"]:
                state["how"] = how

        def look(owners, all=all, map=map, same=operator.is_, code_of=operator.attrgetter("__code__"), changed=_changed):
            for owner, before, get, names, values in owners:
                if not all(map(same, map(get, names), values)):
                    caught(changed(owner, before))
            if not all(map(same, map(code_of, functions), codes)):
                other = [one.__qualname__ for one in functions if one.__code__ is not code[one]]
                caught(f"the code of `{other[0]}` was replaced")

        def begin():
            state["hooks"] = (list(sys.meta_path), list(sys.path_hooks))

        def loaded(tests):
            mend()
            look(always)
            look(at_the_ends)
            if (sys.meta_path, sys.path_hooks) != tuple(state["hooks"]):
                caught("how modules are imported was changed")
            if sys.gettrace() is not None or sys.getprofile() is not None:
                caught("tests are traced by the code under test")
            for one in tests:
                state["tests"][id(one.test)] = _method(one.test)

        def before(test):
            known = state["tests"].get(id(test))
            if known is not None and _method(test) != known:
                caught(f"the test `{str(test)[:200]}` was replaced")

        def after(test):
            before(test)
            look(always)
            for name in vars(test):
                if name in OVERRIDDEN or name.startswith(OVERRIDES):
                    if hasattr(unittest.TestCase, name):
                        caught(f"`{name}` of the test `{str(test)[:200]}` was replaced")

        def result(made):
            state["results"].append((made, _functions(type(made))))
            return made

        def told(frame):
            if frame.f_code not in witnesses:
                caught(f"`{frame.f_code.co_name}` says that a test went well")

        def mend(now=vars(builtins), before=_functions(builtins)):
            # Without a built-in function, because it may be any of them.
            other = [name for name in before if now.get(name) is not before[name]]
            now.update(before)
            if other:
                caught(f"the built-in `{other[0]}` was replaced")

        def end():
            mend()
            look(always)
            look(at_the_ends)
            for made, before in state["results"]:
                caught(_changed(type(made), before))
                for name in vars(made):
                    if name in before:
                        caught(f"`{name}` of a result was replaced")
            return state["how"]

        self.begin, self.loaded, self.before, self.after, self.end = begin, loaded, before, after, end
        self.result, self.told = result, told


def _method(test):
    """What makes a test the test that it is: its function and that function's code, and what runs around it."""
    kind = type(test)
    name = getattr(test, "_testMethodName", "")
    parts = []
    for part in (name, "setUp", "tearDown", "run"):
        found = getattr(kind, part, None)
        parts += [found, getattr(found, "__code__", None)]
    return tuple(map(id, parts))
