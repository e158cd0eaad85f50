"""Prices baskets of goods from a catalog, over HTTP."""
