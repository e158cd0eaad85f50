"""An exception in words: what it says, and the lines of the tree that lead to it. Exceptions belong to the code under test, so
nothing of them is believed: asking one for its text may raise another one."""

import os
import traceback

# Characters of one message, and of all of them: a thousand failures are explained by the first hundred.
LONGEST = 4_000
ALTOGETHER = 1 << 20
SHORT = 200

# Frames of one message, the innermost ones.
FRAMES = 12


def said(error, extract=traceback.extract_tb):
    """Type and text of an exception on one line."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException as inner:
        text = f"(its text cannot be had: {type(inner).__name__})"
    if isinstance(error, SyntaxError) and error.filename:
        return f"{name}: {text}"
    return f"{name}: {text}" if text else name


class Explain:
    """Explains, until so much has been said that the rest is short."""

    def __init__(self, root):
        left = ALTOGETHER
        inside = root.rstrip("/") + "/"

        def explain(error, before=""):
            nonlocal left
            lines = [before + said(error)]
            try:
                frames = traceback.extract_tb(error.__traceback__)
            except BaseException:
                frames = []
            own = [frame for frame in frames if str(frame.filename).startswith(inside)]
            for frame in own[-FRAMES:]:
                place = os.path.relpath(frame.filename, root)
                lines.append(f"  {place}:{frame.lineno} in {frame.name}: {(frame.line or '').strip()}")
            text = "\n".join(lines)
            most = LONGEST if left > 0 else SHORT
            if len(text) > most:
                text = text[: most - 1] + "…"
            left -= len(text)
            # What is no Unicode text cannot leave the sandbox.
            return text.encode("utf-8", "backslashreplace").decode("utf-8")

        self.explain = explain
