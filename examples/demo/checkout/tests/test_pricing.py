"""What the checkout promises."""

import unittest

import pricing


class Line(unittest.TestCase):
    def test_a_few_cost_what_they_cost(self):
        self.assertEqual(pricing.line(250, 3), 750)
        self.assertEqual(pricing.line(50, 9), 450)

    def test_ten_cost_a_tenth_less(self):
        self.assertEqual(pricing.line(50, 10), 450)

    def test_what_is_left_of_a_cent_is_the_buyers(self):
        self.assertEqual(pricing.line(33, 15), 445)


class Total(unittest.TestCase):
    def test_nothing_costs_nothing(self):
        self.assertEqual(pricing.total([]), 0)

    def test_shipping_is_added(self):
        self.assertEqual(pricing.total([{"cents": 1000, "quantity": 2}]), 2490)

    def test_shipping_is_free_from_fifty_on(self):
        self.assertEqual(pricing.total([{"cents": 5000, "quantity": 1}]), 5000)


if __name__ == "__main__":
    unittest.main()
