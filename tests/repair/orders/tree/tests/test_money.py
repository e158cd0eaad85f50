"""What amounts promise."""

import unittest

from orders import money


class Money(unittest.TestCase):
    def test_amounts_are_read_to_the_cent(self):
        for text, cents in [("12", 1200), ("12.5", 1250), ("12.05", 1205), ("-0.05", -5), ("0", 0)]:
            self.assertEqual(money.parse(text), cents, text)

    def test_what_is_no_amount_is_refused(self):
        for text in ["", "1,50", "1.234", "--1", "ten", "1.x"]:
            with self.assertRaises(ValueError, msg=text):
                money.parse(text)

    def test_amounts_are_shown_with_two_digits(self):
        for cents, text in [(0, "0.00"), (5, "0.05"), (-5, "-0.05"), (123456, "1234.56"), (-100, "-1.00")]:
            self.assertEqual(money.show(cents), text)

    def test_shares_are_rounded_half_away_from_zero(self):
        for cents, per_mille, share in [
            (100, 190, 19),
            (101, 190, 19),
            (103, 190, 20),
            (50, 190, 10),
            (150, 190, 29),
            (250, 190, 48),
            (-50, 190, -10),
            (-101, 190, -19),
            (-103, 190, -20),
            (0, 190, 0),
            (999, 0, 0),
            (7, 1000, 7),
        ]:
            self.assertEqual(money.share(cents, per_mille), share, f"{per_mille}‰ of {cents}")
