"""What frames promise."""

import unittest

from kvd.frames import FrameError, Reader, encode


def pieces(data, size):
    """A stream that comes in pieces of so many bytes."""
    parts = iter([data[at : at + size] for at in range(0, len(data), size)])
    return lambda _: next(parts, b"")


class Frames(unittest.TestCase):
    def test_the_length_counts_bytes(self):
        for text, frame in [
            ("", b"0000"),
            ("PING", b"0004PING"),
            ("né", b"0003n\xc3\xa9"),
            ("größe", b"0007gr\xc3\xb6\xc3\x9fe"),
            ("€", b"0003\xe2\x82\xac"),
            ("🍵", b"0004\xf0\x9f\x8d\xb5"),
        ]:
            self.assertEqual(encode(text), frame, text)

    def test_frames_come_in_any_pieces(self):
        texts = ["PING", "", "SET größe 12 €", "x" * 9999, "GET 🍵"]
        data = b"".join(map(encode, texts))
        for size in (1, 2, 3, 5, 7, 4096, len(data)):
            reader = Reader(pieces(data, size))
            for text in texts:
                self.assertEqual(reader.frame(), text, f"pieces of {size}")
            self.assertIsNone(reader.frame())

    def test_the_largest_frame_has_9999_bytes(self):
        self.assertEqual(len(encode("x" * 9999)), 10003)
        self.assertEqual(len(encode("é" * 4999 + "x")), 10003)
        for text in ["x" * 10000, "é" * 5000, "x" * 123456]:
            with self.assertRaises(FrameError):
                encode(text)

    def test_a_stream_that_ends_within_a_frame_is_an_error(self):
        for data in [b"0", b"000", b"0004", b"0004PIN", b"0004PING00"]:
            reader = Reader(pieces(data, 4096))
            with self.assertRaises(FrameError, msg=data):
                while reader.frame() is not None:
                    pass

    def test_what_is_no_frame_is_an_error(self):
        for data in [b"PING", b"-001x", b"+004PING", b"0002\xff\xfe"]:
            with self.assertRaises(FrameError, msg=data):
                Reader(pieces(data, 4096)).frame()
