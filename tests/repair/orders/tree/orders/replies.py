"""Answers as bytes: what is said does not depend on who asks."""

import json

from orders import basket, money


def encode(document):
    """Headers and body of a JSON answer."""
    body = json.dumps(document, ensure_ascii=False).encode("utf-8")
    headers = {"Content-Type": "application/json; charset=utf-8", "Content-Length": str(len(body))}
    return headers, body


def priced(lines, catalog, settings):
    """The answer to a basket, with amounts for people."""
    parts = basket.price(lines, catalog, settings)
    return {name: money.show(cents) for name, cents in parts.items()}


def health(catalog, settings):
    """What the operator's probe compares: the names on all pages, and the price of a basket."""
    pages = range(1, catalog.pages(settings.page_size) + 1)
    names = [item["name"] for number in pages for item in catalog.page(number, settings.page_size)]
    sample = priced([(sku, 1) for sku in catalog.items if sku != "mug"], catalog, settings)
    return {"status": "ok", "names": names, "sample": sample["total"]}
