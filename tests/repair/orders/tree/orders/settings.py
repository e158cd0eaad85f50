"""What the operator may set, read from `settings.json`."""

import json
import pathlib

HOME = pathlib.Path(__file__).resolve().parent.parent


class Settings:
    """Settings that have been looked at."""

    def __init__(self, document):
        self.tax_per_mille = document["tax_per_mille"]
        self.page_size = document["page_size"]
        self.free_shipping_from = document["free_shipping_from"]
        self.catalog = document["catalog"]
        if not 0 <= self.tax_per_mille <= 1000:
            raise ValueError(f"tax_per_mille is {self.tax_per_mille}, which is no share")
        if self.page_size < 1:
            raise ValueError("page_size must be at least 1")


def load(home=HOME):
    """The settings beside the code."""
    return Settings(json.loads((home / "settings.json").read_text(encoding="utf-8")))
