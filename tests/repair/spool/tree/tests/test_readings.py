"""What reading files promises."""

import unittest

from spool.readings import Unreadable, decode, mean, parse, summarize


class Readings(unittest.TestCase):
    def test_text_is_read_in_both_encodings(self):
        for text in ["Røros;1\n", "Ålesund;2\n", "plain;3\n", ""]:
            for encoding in ("utf-8", "utf-8-sig", "cp1252"):
                self.assertEqual(decode(text.encode(encoding)), text, encoding)
        self.assertEqual(decode("5 € – Łódź".encode("utf-8")), "5 € – Łódź")
        self.assertEqual(decode("5 € – ß".encode("cp1252")), "5 € – ß")

    def test_readings_are_pairs(self):
        for text, found in [
            ("a;1\nb;2.5\n", [("a", 1.0), ("b", 2.5)]),
            ("a;1,5\r\nb;-0,25", [("a", 1.5), ("b", -0.25)]),
            (" a b ; 7 \n", [("a b", 7.0)]),
            ("a;b;3\n", [("a;b", 3.0)]),
            ("# a;1\n\n \nb;2\n", [("b", 2.0)]),
            ("", []),
        ]:
            self.assertEqual(parse(text), found, text)

    def test_what_is_no_reading_is_said_with_its_line(self):
        for text, said in [("a;1\nb;x\n", "line 2"), ("7\n", "line 1"), ("a;\n", "line 1"), ("\n\n;4", "line 3")]:
            with self.assertRaisesRegex(Unreadable, said):
                parse(text)

    def test_a_summary_tells_of_each_station(self):
        found = summarize([("b", 1.0), ("a", 2.0), ("b", 2.0), ("b", 6.5)])
        self.assertEqual(list(found["stations"]), ["a", "b"])
        self.assertEqual(found["stations"]["a"], {"count": 1, "low": 2.0, "mean": 2.0, "high": 2.0})
        self.assertEqual(found["stations"]["b"], {"count": 3, "low": 1.0, "mean": 3.17, "high": 6.5})
        self.assertEqual(found["mean"], 2.88)

    def test_of_nothing_there_is_no_mean(self):
        self.assertIsNone(mean([]))
        self.assertEqual(summarize([]), {"stations": {}, "mean": None})

    def test_a_mean_of_zero_is_a_mean(self):
        for values in ([0.0], [1.0, -1.0], [0.0, 0.0]):
            self.assertEqual(mean(values), 0.0)
            self.assertIsNotNone(mean(values))
