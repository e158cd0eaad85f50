"""The contract: a request in, a judgement out. Every other file is plain Python and knows nothing of components."""

import gc

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import evaluator as wit
from wit_world.imports import types

from . import frozen, guard, judge, settings

frozen.load()

STATUS = {
    "passed": wit.CaseStatus_Passed,
    "failed": wit.CaseStatus_Failed,
    "errored": wit.CaseStatus_Errored,
    "skipped": wit.CaseStatus_Skipped,
}

# Taken now: what the code under test does to these classes later is noticed, and what it does to the modules changes nothing.
WIT = [wit.Outcome_Pass, wit.Outcome_Fail, wit.Outcome_NotEvaluable, wit.CaseStatus_Other, wit.TestCase, wit.Finding]
WIT += [wit.Judgement, types.PluginError, types.PluginErrorKind_InvalidInput, Err, *STATUS.values()]
GUARDED = guard.Guard(WIT)


class Evaluator(exports.Evaluator):
    """The component's one export."""

    def evaluate(self, request):
        try:
            chosen = settings.parse(request.settings)
        except ValueError as problem:
            kind = types.PluginErrorKind_InvalidInput()
            raise Err(types.PluginError(kind, f"settings: {problem}"[:500], None, []))
        found = judge.judge("/tree", "/scratch", "/deps", chosen, request.changed, GUARDED)
        return in_words_of_the_contract(found)


def in_words_of_the_contract(
    found,
    Judgement=wit.Judgement,
    TestCase=wit.TestCase,
    Other=wit.CaseStatus_Other,
    status=dict(STATUS),
    outcomes=(wit.Outcome_Pass, wit.Outcome_Fail, wit.Outcome_NotEvaluable),
):
    """A finding of ours as the contract has it; everything it needs was taken before any other code ran."""
    cases = []
    for case in found.cases:
        made = status[case.status]() if case.status in status else Other(case.status)
        cases.append(TestCase(case.id, made, case.message, min(case.milliseconds, 2**32 - 1), []))
    passed, failed, not_evaluable = outcomes
    if found.outcome == "pass":
        outcome = passed()
    elif found.outcome == "fail":
        outcome = failed()
    else:
        outcome = not_evaluable(found.summary)
    extensions = [("tampered", found.tampered)] if found.tampered else []
    return Judgement(outcome, found.summary, [], cases, extensions)


# What the imports left behind is never looked at again by a collection, and costs no call anything.
gc.collect()
gc.freeze()
