"""What the window promises."""

import unittest

from gauge.server import Collector
from gauge.window import Full, Window, percentile


class Clock:
    """Time that goes only when told to."""

    def __init__(self):
        self.now = 50.0

    def __call__(self):
        return self.now


class Percentiles(unittest.TestCase):
    def test_a_percentile_is_one_of_the_values(self):
        for count, percent, rank in [
            (1, 50, 1),
            (1, 95, 1),
            (2, 50, 1),
            (3, 50, 2),
            (4, 50, 2),
            (20, 50, 10),
            (20, 95, 19),
            (20, 96, 20),
            (21, 95, 20),
            (100, 95, 95),
            (100, 100, 100),
            (5, 0, 1),
        ]:
            values = [10.0 * n for n in range(1, count + 1)]
            self.assertEqual(percentile(values, percent), 10.0 * rank, f"{percent} % of {count}")


class Windows(unittest.TestCase):
    def setUp(self):
        self.clock = Clock()

    def window(self, **settings):
        return Window(clock=self.clock, **settings)

    def test_counts_become_rates(self):
        for seconds, values, rate in [(1.0, [1, 1, 1], 3.0), (2.0, [1, 1, 1], 1.5), (10.0, [5], 0.5), (0.5, [1, 2], 6.0)]:
            window = self.window(seconds=seconds)
            for value in values:
                window.add("hits", "c", value)
            self.assertEqual(window.figures(), {"hits": {"rate": rate}})

    def test_gauges_have_their_last_value(self):
        window = self.window()
        for value in (3.0, 9.0, -1.0):
            window.add("depth", "g", value)
        self.assertEqual(window.figures(), {"depth": {"last": -1.0}})

    def test_times_are_ordered(self):
        window = self.window()
        for value in (30.0, 10.0, 20.0, 40.0):
            window.add("took", "ms", value)
        self.assertEqual(window.figures()["took"], {"count": 4, "p50": 20.0, "p95": 40.0, "max": 40.0})

    def test_what_is_older_than_the_window_is_forgotten(self):
        window = self.window(seconds=2.0)
        for step in range(4):
            window.add("took", "ms", float(step))
            window.add(f"only.{step}", "g", 1.0)
            self.clock.now += 1.0
        found = window.figures()
        self.assertEqual(found["took"], {"count": 1, "p50": 3.0, "p95": 3.0, "max": 3.0})
        self.assertEqual(sorted(found), ["only.3", "took"])
        self.clock.now += 1.0
        self.assertEqual(window.figures(), {})

    def test_there_is_room_for_so_many_series(self):
        for most in (1, 3):
            window = self.window(series=most)
            for number in range(most):
                window.add(f"s{number}", "c", 1)
            window.add("s0", "c", 1)
            with self.assertRaises(Full):
                window.add("one more", "c", 1)
            self.assertEqual(len(window.figures()), most)

    def test_a_line_that_is_wrong_harms_no_other(self):
        collector = Collector()
        collector.take(b"a:1|g\nnothing\nb:x|c\nb:2|g\n")
        collector.take(b"\xff\xfe")
        collector.take("größe:3|g".encode())
        self.assertEqual(collector.bad, 3)
        self.assertEqual(sorted(collector.window.figures()), ["a", "b", "größe"])
