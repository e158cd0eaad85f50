"""Frames: four digits that say how many bytes follow, then so many bytes of UTF-8."""

LARGEST = 9999
HEAD = 4


class FrameError(Exception):
    """What came, or what should go, is no frame."""


def encode(text):
    """The frame of a text."""
    body = text.encode("utf-8")
    if len(body) > LARGEST:
        raise FrameError(f"a frame of {len(body)} bytes is too large")
    return b"%04d" % len(body) + body


class Reader:
    """Takes frames from a stream, in whatever pieces it comes. `receive(n)` gives at most n bytes; none at the end."""

    def __init__(self, receive):
        self._receive = receive
        self._rest = b""

    def frame(self):
        """The next text, or None where the stream ends between two frames."""
        head = self._take(HEAD)
        if head is None:
            return None
        if not head.isdigit():
            raise FrameError(f"{head!r} is no length")
        body = self._take(int(head))
        if body is None:
            raise FrameError("the stream ends after a length")
        try:
            return body.decode("utf-8")
        except UnicodeDecodeError as problem:
            raise FrameError(f"not UTF-8: {problem}") from None

    def _take(self, count):
        while len(self._rest) < count:
            piece = self._receive(4096)
            if not piece:
                if self._rest:
                    raise FrameError("the stream ends within a frame")
                return None
            self._rest += piece
        taken, self._rest = self._rest[:count], self._rest[count:]
        return taken
