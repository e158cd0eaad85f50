"""What is found: plain values, which nothing outside of the evaluator ever holds."""


class Case:
    """One test and what it came to."""

    __slots__ = ("id", "status", "message", "milliseconds")

    def __init__(self, id, status, message="", milliseconds=0):
        self.id, self.status, self.message, self.milliseconds = id, status, message, milliseconds


class Found:
    """The whole judgement."""

    __slots__ = ("outcome", "summary", "cases", "tampered")

    def __init__(self, outcome, summary, cases, tampered=""):
        self.outcome, self.cases, self.tampered = outcome, cases, tampered
        # One line, as operators read it.
        self.summary = " ".join(summary.split())[:300]
