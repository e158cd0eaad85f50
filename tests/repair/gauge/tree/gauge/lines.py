"""Lines of measurements: `name:value|kind`, where the kind is `c` (count), `g` (gauge) or `ms` (time)."""

import math

KINDS = ("c", "g", "ms")


class BadLine(Exception):
    """A line is no measurement."""


def packet(data):
    """The lines of a packet that say something."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadLine("a packet is UTF-8") from None
    return [line.strip() for line in text.split("\n") if line.strip()]


def parse(line):
    """Name, kind and value of a measurement."""
    name, colon, rest = line.rpartition(":")
    number, bar, kind = rest.partition("|")
    if not (name and colon and bar) or kind not in KINDS:
        raise BadLine(f"{line!r} is no `name:value|kind`")
    try:
        value = float(number)
    except ValueError:
        raise BadLine(f"{number!r} is no number") from None
    if not math.isfinite(value) or (kind == "ms" and value < 0):
        raise BadLine(f"{number!r} is nothing that can be measured")
    return name, kind, value
