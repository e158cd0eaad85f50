"""What lines promise."""

import unittest

from gauge.lines import BadLine, packet, parse


class Lines(unittest.TestCase):
    def test_a_packet_has_lines(self):
        for data, lines in [
            (b"a:1|c", ["a:1|c"]),
            (b"a:1|c\nb:2|g\n", ["a:1|c", "b:2|g"]),
            (b"\n \r\na:1|c\r\n\n", ["a:1|c"]),
            ("größe:1|c\n蜂蜜:2|g".encode(), ["größe:1|c", "蜂蜜:2|g"]),
            (b"", []),
        ]:
            self.assertEqual(packet(data), lines)

    def test_a_packet_that_is_not_utf_8_is_bad(self):
        for data in [b"\xff", b"gr\xf6\xdfe:1|c", b"a:1|c\n\xc3"]:
            with self.assertRaises(BadLine):
                packet(data)

    def test_measurements_are_read(self):
        for line, found in [
            ("a:1|c", ("a", "c", 1.0)),
            ("a.b:-2.5|g", ("a.b", "g", -2.5)),
            ("a:b:12|ms", ("a:b", "ms", 12.0)),
            ("größe:1e3|c", ("größe", "c", 1000.0)),
            ("a:0|ms", ("a", "ms", 0.0)),
        ]:
            self.assertEqual(parse(line), found)

    def test_what_is_no_measurement_is_bad(self):
        for line in ["", "a", "a:1", ":1|c", "a:|c", "a:x|g", "a:1|z", "a:1|", "a:nan|g", "a:inf|c", "a:-1|ms", "a:1,5|g"]:
            with self.assertRaises(BadLine, msg=line):
                parse(line)
