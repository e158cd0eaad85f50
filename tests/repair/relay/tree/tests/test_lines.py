"""What lines promise."""

import unittest

from relay.lines import LineError, decode, encode


class Lines(unittest.TestCase):
    def test_lines_are_read_without_their_end(self):
        for data, text in [(b"PING\n", "PING"), (b"PING\r\n", "PING"), (b"a b \n", "a b "), (b"\n", ""), (b"x", "x")]:
            self.assertEqual(decode(data), text)
        self.assertEqual(decode("grüße\n".encode()), "grüße")

    def test_a_line_has_at_most_200_bytes(self):
        for text in ["x" * 199, "x" * 200, "ü" * 100]:
            self.assertEqual(decode(text.encode() + b"\n"), text)
            self.assertEqual(decode(text.encode() + b"\r\n"), text)
        for text in ["x" * 201, "ü" * 100 + "x", "x" * 1000]:
            with self.assertRaises(LineError):
                decode(text.encode() + b"\n")

    def test_what_is_not_utf_8_is_refused(self):
        for data in [b"\xff\n", b"gr\xfc\xdfe\n", b"\xc3\n"]:
            with self.assertRaises(LineError):
                decode(data)

    def test_short_texts_are_sent_whole(self):
        for text in ["", "x", "x" * 200, "ü" * 100]:
            self.assertEqual(encode(text), text.encode() + b"\n")

    def test_long_texts_are_cut_between_letters(self):
        for letter in ("x", "ü", "€", "🍵"):
            for lead in ("", "a", "ab", "abc"):
                data = encode(lead + letter * 250)
                text = data.decode("utf-8")
                self.assertTrue(text.endswith(letter + "…\n"), text)
                self.assertLessEqual(len(data), 201)
                self.assertGreater(len(data), 201 - len(letter.encode()))

    def test_a_text_is_one_line(self):
        self.assertEqual(encode("a\nb\n"), b"a b \n")
