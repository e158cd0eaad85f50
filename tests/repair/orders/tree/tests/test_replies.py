"""What answers promise."""

import json
import unittest

from orders import basket, replies
from orders.settings import load


class Replies(unittest.TestCase):
    def test_the_length_is_that_of_the_body(self):
        for name in ["tea", "Löffel", "蜂蜜", "naïve ☕", ""]:
            headers, body = replies.encode({"name": name})
            self.assertEqual(int(headers["Content-Length"]), len(body), name)
            self.assertEqual(json.loads(body), {"name": name})

    def test_names_are_sent_as_they_are_written(self):
        _, body = replies.encode(["weiß", "蜂蜜"])
        self.assertEqual(body.decode("utf-8"), '["weiß", "蜂蜜"]')

    def test_a_price_is_for_people(self):
        settings = load()
        parts = replies.priced([["mug", 1], ["spoon", 2]], basket.load(settings), settings)
        self.assertEqual(parts["goods"], "16.40")
        self.assertEqual(parts["total"], "24.16")
