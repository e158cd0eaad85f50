"""What rates promise."""

import unittest
from decimal import Decimal

from fanout.rates import agree, median, parse


def decimals(*texts):
    return [Decimal(text) for text in texts]


class Rates(unittest.TestCase):
    def test_answers_are_read(self):
        for line, rate in [(b"1.25\n", "1.25"), (b" 7 \r\n", "7"), (b"0.0001", "0.0001"), (b"1e2\n", "100")]:
            self.assertEqual(parse(line), Decimal(rate))

    def test_what_is_no_rate_is_refused(self):
        for line in [b"", b"\n", b"x\n", b"0\n", b"-1\n", b"NaN\n", b"Infinity\n", b"1,5\n", b"1 2\n", b"\xb2\n"]:
            with self.assertRaises(ValueError, msg=line):
                parse(line)

    def test_the_median_is_in_the_middle(self):
        for rates, result in [
            (["3"], "3"),
            (["3", "1", "2"], "2"),
            (["1", "2"], "1.5"),
            (["10", "1", "4", "2"], "3"),
            (["5", "1", "9", "1", "1"], "1"),
            (["6", "1", "2", "5", "3", "4"], "3.5"),
        ]:
            self.assertEqual(median(decimals(*rates)), Decimal(result), rates)

    def test_a_quorum_must_have_answered(self):
        rates = decimals("1", "2", "3", "4")
        for answered, quorum, rate in [
            (0, 0, None),
            (0, 1, None),
            (1, 1, "1.00"),
            (1, 2, None),
            (2, 2, "1.50"),
            (2, 3, None),
            (3, 3, "2.00"),
            (4, 2, "2.50"),
            (4, 5, None),
        ]:
            answers = {f"s{n}": rate for n, rate in enumerate(rates[:answered])}
            self.assertEqual(agree(answers, quorum), rate, f"{answered} of {quorum}")

    def test_customers_see_two_digits(self):
        for rates, shown in [(["1.005"], "1.01"), (["1.004"], "1.00"), (["2"], "2.00"), (["1.01", "1.02"], "1.02")]:
            answers = dict(enumerate(decimals(*rates)))
            self.assertEqual(agree(answers, 1), shown)
