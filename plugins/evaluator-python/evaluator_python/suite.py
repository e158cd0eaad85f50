"""Running tests, and what each of them came to. What is to be run is known before anything runs: a test of which nothing is
heard did not pass. Where a test is told twice, the worse word counts. The words are kept where only the functions below reach
them, not in an object that a test could find.
"""

import sys
import time
import unittest

from . import limits
from .explain import Explain
from .outcome import Case

# From bad to good.
RANK = ("errored", "failed", "skipped", "passed")


def run(root, loaded, watch, lacking, guarded, clock=time.perf_counter, caller=sys._getframe):
    """Runs tests, class by class as they come; one case for each, in the same order."""
    told = [[] for _ in loaded]
    took = [0.0] * len(loaded)
    unfit = [one.unfit for one in loaded]
    places = {id(one.test): place for place, one in enumerate(loaded)}
    explain = Explain(root).explain
    # The test that runs, and the last one that began.
    now = last = None
    since = 0.0
    families = {}
    for place, one in enumerate(loaded):
        families.setdefault(type(one.test), []).append(place)

    def tell(test, word, message=""):
        place = places.get(id(test), now)
        if place is not None:
            told[place].append((word, message))

    def blame(error, word):
        """An exception as a word and a message, and whether it is about the sandbox alone."""
        place = now
        reason = lacking.in_words(error) if error is not None else None
        if place is not None and reason:
            unfit[place] = unfit[place] or reason
        return word, explain(error) if error is not None else ""

    def of_group(holder, error, word):
        """A class or module could not be prepared or cleared up: that is told of all tests in it."""
        label = str(holder.id())
        inside = label.partition("(")[2].rstrip(")")
        reason = limits.in_words(needed) if (needed := watch.take()) else None
        reason = reason or (lacking.in_words(error) if error is not None else None)
        message = explain(error, f"{label}: ") if error is not None else label
        for place, one in enumerate(loaded):
            kind = type(one.test)
            if inside in (kind.__module__, f"{kind.__module__}.{kind.__qualname__}"):
                told[place].append((word, message))
                unfit[place] = unfit[place] or reason

    class Result(unittest.TestResult):
        """Hears of everything and keeps nothing."""

        def startTest(self, test):
            nonlocal now, last, since
            needed = watch.take()
            if needed:
                for place in families.get(type(test), ()):
                    unfit[place] = unfit[place] or limits.in_words(needed)
            now = last = places.get(id(test))
            guarded.before(test)
            since = clock()

        def stopTest(self, test):
            nonlocal now
            if now is not None:
                took[now] += clock() - since
                needed = watch.take()
                if needed:
                    unfit[now] = unfit[now] or limits.in_words(needed)
            guarded.after(test)
            now = None

        def addSuccess(self, test):
            guarded.told(caller(1))
            tell(test, "passed")

        def addError(self, test, error):
            if isinstance(test, unittest.TestCase):
                tell(test, *blame(error[1], "errored"))
            else:
                of_group(test, error[1], "errored")

        def addFailure(self, test, error):
            tell(test, *blame(error[1], "failed"))

        def addSkip(self, test, reason):
            if isinstance(test, unittest.TestCase):
                guarded.told(caller(1))
                tell(getattr(test, "test_case", test), "skipped", str(reason)[:500])
            else:
                of_group(test, None, "skipped")

        def addExpectedFailure(self, test, error):
            guarded.told(caller(1))
            tell(test, "passed")

        def addUnexpectedSuccess(self, test):
            tell(test, "failed", "it passed, and is marked as one that fails")

        def addSubTest(self, test, subtest, error):
            if error is not None:
                word = "failed" if issubclass(error[0], test.failureException) else "errored"
                _, message = blame(error[1], word)
                tell(test, word, f"{describe(subtest)}{message}")

        def addDuration(self, test, elapsed):
            pass

    left = [one.test for one in loaded]
    while left:
        begun = last
        group = unittest.TestSuite(left)
        # A suite forgets its tests as it goes, and they are known here by what they are.
        group._cleanup = False
        try:
            group.run(guarded.result(Result()))
            break
        except BaseException as error:
            # An interrupt ends a suite. The test that raised it is to blame, and the others are run all the same.
            if last == begun:
                break
            told[last].append(("errored", explain(error)))
            left = [one.test for one in loaded[last + 1 :]]
    return [case(one.id, told[place], took[place], unfit[place]) for place, one in enumerate(loaded)]


def describe(subtest):
    """Which one of the parts of a test it is."""
    try:
        return f"{subtest._subDescription()}: "[:200]
    except BaseException:
        return ""


def case(id, told, took, unfit):
    """The worst of what was told of a test."""
    milliseconds = max(0, round(took * 1000))
    if unfit:
        return Case(id, "not-evaluable", unfit, milliseconds)
    if not told:
        return Case(id, "errored", "it was not run to its end", milliseconds)
    word, message = min(told, key=lambda one: RANK.index(one[0]))
    return Case(id, word, message, milliseconds)
