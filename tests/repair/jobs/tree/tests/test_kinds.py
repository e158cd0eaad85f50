"""What the kinds of jobs promise."""

import unittest

from jobs.kinds import mean, primes, words


class Kinds(unittest.TestCase):
    def test_words_are_counted_whatever_their_case(self):
        self.assertEqual(words("To be or not to BE"), {"to": 2, "be": 2, "or": 1, "not": 1})
        self.assertEqual(words("Straße STRASSE"), {"strasse": 2})
        self.assertEqual(words(" \n"), {})

    def test_primes_up_to_a_number(self):
        for limit, found in [(1, []), (2, [2]), (3, [2, 3]), (9, [2, 3, 5, 7]), (25, [2, 3, 5, 7, 11, 13, 17, 19, 23])]:
            self.assertEqual(primes(str(limit)), found, limit)

    def test_the_mean_of_numbers(self):
        for text, result in [("4", 4.0), ("1 2", 1.5), ("-1 1", 0.0), ("0.5 0.25", 0.375)]:
            self.assertEqual(mean(text), result)
