"""Unified diffs, read and applied strictly: each hunk at exactly the line it names, or not at all."""

import re

HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@(?: .*)?")
NO_NEWLINE = "\\ No newline at end of file"


class DiffError(Exception):
    """A diff that cannot be read, or that does not fit the files."""


class FileDiff:
    """The changes of one file: its path, what becomes of it, and its hunks."""

    def __init__(self, path, kind):
        self.path = path
        self.kind = kind
        self.hunks = []

    def added(self):
        """The lines that come, without their signs."""
        return [line[1:] for _, lines in self.hunks for line in lines if line.startswith("+")]

    def removed(self):
        """The lines that go, without their signs."""
        return [line[1:] for _, lines in self.hunks for line in lines if line.startswith("-")]


def read(text):
    """The files of a diff. There is no prose in it, and no header but `---`, `+++` and `@@`."""
    if not text.endswith("\n") or text.endswith("\n\n"):
        raise DiffError("it must end with exactly one line feed")
    lines, at, files = text.split("\n")[:-1], 0, []
    while at < len(lines):
        if at + 1 >= len(lines) or not lines[at].startswith("--- ") or not lines[at + 1].startswith("+++ "):
            raise DiffError(f"line {at + 1}: there is no `---` and `+++` where they must be")
        diff = _named(lines[at][4:], lines[at + 1][4:])
        at += 2
        while at < len(lines) and lines[at].startswith("@@"):
            at = _hunk(lines, at, diff)
        if not diff.hunks:
            raise DiffError(f"{diff.path}: there is no hunk")
        files.append(diff)
    if len({diff.path for diff in files}) != len(files):
        raise DiffError("a file is changed twice")
    return files


def _named(old, new):
    if old == "/dev/null" and new.startswith("b/"):
        return FileDiff(new[2:], "create")
    if new == "/dev/null" and old.startswith("a/"):
        return FileDiff(old[2:], "delete")
    if old.startswith("a/") and new.startswith("b/") and old[2:] == new[2:]:
        return FileDiff(old[2:], "modify")
    raise DiffError(f"`{old}` and `{new}` do not name one file as `a/…` and `b/…`")


def _hunk(lines, at, diff):
    match = HUNK.fullmatch(lines[at])
    if not match:
        raise DiffError(f"line {at + 1}: no header of a hunk")
    first, old, new_first, new = (int(part) if part is not None else 1 for part in match.groups())
    begin = first if old == 0 else first - 1
    new_begin = new_first if new == 0 else new_first - 1
    moved = sum(_grown(body) for _, body in diff.hunks)
    if new_begin != begin + moved:
        raise DiffError(f"line {at + 1}: the second position is not the first plus what came before")
    body, at = [], at + 1
    while old > 0 or new > 0:
        line = lines[at] if at < len(lines) else ""
        if line[:1] not in (" ", "-", "+"):
            raise DiffError(f"line {at + 1}: the `@@` line announces more lines")
        old -= line[0] != "+"
        new -= line[0] != "-"
        body.append(line)
        at += 1
    if old < 0 or new < 0:
        raise DiffError(f"line {at}: the `@@` line announces fewer lines")
    if at < len(lines) and lines[at] == NO_NEWLINE:
        raise DiffError(f"line {at + 1}: every file of the corpus ends with a line feed")
    if diff.kind == "modify" and all(line[0] == "+" for line in body):
        raise DiffError("no line of the file stands in the hunk")
    diff.hunks.append((begin, body))
    return at


def _grown(body):
    return sum(line[0] == "+" for line in body) - sum(line[0] == "-" for line in body)


def apply(files, tree):
    """The tree, a dictionary of texts by path, with these changes in it. The tree given stays as it is."""
    result = dict(tree)
    for diff in files:
        before = tree.get(diff.path)
        if (before is None) != (diff.kind == "create"):
            raise DiffError(f"{diff.path}: it {'is' if before is not None else 'is not'} there")
        after = _patched(diff, before or "")
        if diff.kind == "delete":
            if after:
                raise DiffError(f"{diff.path}: something of it would be left")
            del result[diff.path]
        else:
            result[diff.path] = after
    return result


def _patched(diff, text):
    if text and not text.endswith("\n"):
        raise DiffError(f"{diff.path}: it does not end with a line feed")
    lines, taken, out = text.split("\n")[:-1], 0, []
    for begin, body in diff.hunks:
        old = [line[1:] for line in body if line[0] != "+"]
        if begin < taken or lines[begin : begin + len(old)] != old:
            raise DiffError(f"{diff.path}: the lines after line {begin} are others")
        out += lines[taken:begin] + [line[1:] for line in body if line[0] != "-"]
        taken = begin + len(old)
    out += lines[taken:]
    return "".join(line + "\n" for line in out)
