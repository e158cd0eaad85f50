"""Lines as they go over the wire: UTF-8, at most so many bytes, never half a letter."""

LONGEST = 200


class LineError(Exception):
    """What came is no line."""


def decode(data):
    """The text of a line without its end."""
    line = data.removesuffix(b"\n").removesuffix(b"\r")
    if len(line) > LONGEST:
        raise LineError(f"a line has at most {LONGEST} bytes")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise LineError("a line is UTF-8") from None


def encode(text):
    """The line of a text: what is too long is cut between two letters, and marked with an ellipsis."""
    data = text.replace("\n", " ").encode("utf-8")
    if len(data) > LONGEST:
        data = data[: LONGEST - 3].decode("utf-8", "ignore").encode("utf-8") + "…".encode("utf-8")
    return data + b"\n"
