"""What a basket costs, in whole cents."""

SHIPPING = 490
FREE_SHIPPING_FROM = 5000
BULK = 10


def line(cents, quantity):
    """So many of one thing: from ten on they cost a tenth less, and what is left of a cent is the buyer's."""
    full = cents * quantity
    return full * 9 // 10 if quantity >= BULK else full


def total(basket):
    """All of it, with shipping; an empty basket costs nothing."""
    goods = sum(line(item["cents"], item["quantity"]) for item in basket)
    if goods == 0 or goods >= FREE_SHIPPING_FROM:
        return goods
    return goods + SHIPPING
