"""What baskets and pages promise."""

import unittest

from orders import basket
from orders.settings import Settings, load


def catalog(count):
    items = [{"sku": f"s{n}", "name": f"n{n}", "price": f"{n}.25", "grams": 60 * n} for n in range(1, count + 1)]
    return basket.Catalog(items)


SETTINGS = Settings({"tax_per_mille": 200, "page_size": 4, "free_shipping_from": 5000, "catalog": "none"})


class Pages(unittest.TestCase):
    def test_every_item_is_on_exactly_one_page(self):
        for count in range(1, 14):
            for size in (1, 3, 4, 13, 20):
                goods = catalog(count)
                pages = [goods.page(number, size) for number in range(1, goods.pages(size) + 1)]
                found = [item["sku"] for page in pages for item in page]
                self.assertEqual(found, list(goods.items), f"{count} items, {size} on a page")
                self.assertTrue(all(pages), f"{count} items, {size} on a page: one page is empty")

    def test_an_empty_catalog_has_one_empty_page(self):
        self.assertEqual(catalog(0).pages(3), 1)
        self.assertEqual(catalog(0).page(1, 3), [])

    def test_there_is_no_page_before_the_first_or_after_the_last(self):
        for number in (-1, 0, 4, 5):
            with self.assertRaises(LookupError):
                catalog(7).page(number, 3)


class Baskets(unittest.TestCase):
    def price(self, *lines):
        return basket.price(lines, catalog(30), SETTINGS)

    def test_the_total_is_the_sum_of_its_parts(self):
        for lines in [[("s1", 1)], [("s1", 2), ("s3", 1)], [("s9", 12)], [("s30", 1)]]:
            parts = self.price(*lines)
            net = parts["goods"] - parts["discount"] + parts["shipping"]
            self.assertEqual(parts["total"], net + parts["tax"])
            self.assertEqual(parts["tax"], (net * 200 + 500) // 1000)

    def test_ten_of_a_kind_are_cheaper(self):
        for count, discount in [(1, 0), (9, 0), (10, 113), (11, 124)]:
            self.assertEqual(self.price(("s2", count))["discount"], discount, count)

    def test_the_heaviest_piece_decides_about_shipping(self):
        for lines, shipping in [
            ([("s1", 1)], 190),
            ([("s2", 1)], 390),
            ([("s1", 1), ("s16", 1)], 390),
            ([("s17", 1), ("s1", 1)], 690),
        ]:
            self.assertEqual(self.price(*lines)["shipping"], shipping, lines)

    def test_shipping_is_free_from_a_certain_amount(self):
        self.assertEqual(self.price(("s30", 1), ("s19", 1))["shipping"], 690)
        self.assertEqual(self.price(("s30", 1), ("s20", 1))["shipping"], 0)

    def test_an_empty_basket_costs_nothing(self):
        self.assertEqual(set(self.price().values()), {0})

    def test_what_is_not_sold_cannot_be_ordered(self):
        for line in [("s31", 1), ("s1", 0), ("s1", -1)]:
            with self.assertRaises(LookupError):
                self.price(line)


class Shipped(unittest.TestCase):
    def test_what_is_shipped_with_the_service_can_be_read(self):
        settings = load()
        self.assertEqual(settings.tax_per_mille, 190)
        self.assertEqual(len(basket.load(settings).items), 7)
