"""One look at one tree: find, import, run, and say what came of it."""

import os
import sys
import tempfile

from . import discovery, limits, suite
from .explain import said
from .outcome import Found

# More tests than any component has; the host takes no more cases either.
MOST = 5_000


def judge(root, scratch, deps, settings, changed, guarded):
    """What the suite of the tree at `root` comes to."""
    guarded.begin()
    try:
        return look(root, scratch, deps, settings, changed, guarded)
    except BaseException as error:
        # Nothing above raises, unless somebody has taken its tools away.
        how = guarded.end()
        if how:
            return Found("fail", f"the code under test has changed its judge: {how}", [], how)
        return Found("not-evaluable", f"the evaluator failed: {said(error)}", [])


def look(root, scratch, deps, settings, changed, guarded):
    """The same, as long as the interpreter is what it was."""
    prepare(root, scratch)
    files = discovery.files(root, settings)
    if isinstance(files, str):
        return Found("not-evaluable", files, [])
    if not files:
        return Found("not-evaluable", f"no test file: nothing here is called `{settings.pattern}`", [])
    watch = limits.Watch(root, scratch)
    lacking = discovery.Lacking(root, changed)
    places = discovery.paths(root, deps, settings)
    loaded, stillborn = discovery.load(root, files, places, watch, lacking)
    guarded.loaded(loaded)
    if len(loaded) > MOST:
        return Found("not-evaluable", f"{len(loaded)} tests; at most {MOST} are run", [])
    cases = stillborn + suite.run(root, loaded, watch, lacking, guarded)
    return opinion(cases, guarded.end())


def prepare(root, scratch):
    """An interpreter as a service of this tree would find it, as far as that is possible here."""
    sys.dont_write_bytecode = True
    # Code that asks does so to choose between systems, and the component runs on this one.
    sys.platform = "linux"
    sys.stdout = sys.stderr = sys.__stdout__ = sys.__stderr__ = limits.nowhere()
    sys.argv = [os.path.join(root, "unittest")]
    os.environ.update(HOME=scratch, TMPDIR=scratch)
    tempfile.tempdir = scratch
    os.chdir(root)
    discovery.hide_ourselves()


def opinion(cases, tampered):
    """All cases in one word. What was not run to its end is never a pass."""
    count = {}
    for case in cases:
        count[case.status] = count.get(case.status, 0) + 1
    total, passed = len(cases), count.get("passed", 0)
    unfit = [case for case in cases if case.status == "not-evaluable"]
    bad = count.get("failed", 0) + count.get("errored", 0)
    if tampered:
        return Found("fail", f"the code under test has changed its judge: {tampered}", cases, tampered)
    if bad:
        parts = [f"{count[word]} {word}" for word in ("failed", "errored") if word in count]
        return Found("fail", f"{' and '.join(parts)} of {total} tests", cases)
    if unfit:
        return Found("not-evaluable", f"{len(unfit)} of {total} tests cannot be run here: {unfit[0].message}", cases)
    if not total:
        return Found("not-evaluable", "the test files hold no test", cases)
    if not passed:
        return Found("not-evaluable", f"all {total} tests are skipped", cases)
    skipped = f", {count['skipped']} skipped" if "skipped" in count else ""
    return Found("pass", f"{passed} of {total} tests passed{skipped}", cases)
