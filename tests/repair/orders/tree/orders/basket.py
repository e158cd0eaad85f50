"""The catalog and what a basket of its goods costs."""

import json

from orders import money
from orders.settings import HOME


class Catalog:
    """Goods by their `sku`, in the order of the file."""

    def __init__(self, items):
        self.items = {item["sku"]: {**item, "cents": money.parse(item["price"])} for item in items}

    def page(self, number, size):
        """The goods of one page; the first page is 1."""
        if not 1 <= number <= self.pages(size):
            raise LookupError(f"there is no page {number}")
        first = (number - 1) * size
        return list(self.items.values())[first : first + size]

    def pages(self, size):
        """How many pages there are: at least one, and the last may be shorter."""
        return max(1, -(-len(self.items) // size))


def load(settings, home=HOME):
    """The catalog that the settings name."""
    return Catalog(json.loads((home / settings.catalog).read_text(encoding="utf-8")))


def price(lines, catalog, settings):
    """What a basket costs: goods, discount, shipping, tax and their total, all in cents."""
    for sku, count in lines:
        if sku not in catalog.items or count < 1:
            raise LookupError(f"{count} × {sku} cannot be ordered")
    goods = sum(catalog.items[sku]["cents"] * count for sku, count in lines)
    discount = sum(money.share(catalog.items[sku]["cents"] * count, 50) for sku, count in lines if count >= 10)
    shipping = 0 if goods - discount >= settings.free_shipping_from else _shipping(lines, catalog)
    net = goods - discount + shipping
    tax = money.share(net, settings.tax_per_mille)
    return {"goods": goods, "discount": discount, "shipping": shipping, "tax": tax, "total": net + tax}


def _shipping(lines, catalog):
    """The heaviest piece decides: 1.90 up to 100 g, 3.90 up to 1 kg, 6.90 above. Nothing is sent for nothing."""
    heaviest = max((catalog.items[sku]["grams"] for sku, _ in lines), default=0)
    if heaviest == 0:
        return 0
    return 190 if heaviest <= 100 else 390 if heaviest <= 1000 else 690
