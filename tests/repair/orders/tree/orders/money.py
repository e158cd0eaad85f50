"""Amounts in cents; no float ever holds money."""


def parse(text):
    """The cents of an amount such as `12`, `12.5` or `-0.05`."""
    sign = -1 if text.startswith("-") else 1
    whole, _, fraction = text.removeprefix("-").partition(".")
    if not whole.isdigit() or len(fraction) > 2 or (fraction and not fraction.isdigit()):
        raise ValueError(f"{text!r} is no amount")
    return sign * (int(whole) * 100 + int(fraction.ljust(2, "0")))


def show(cents):
    """An amount for people: `-0.05`."""
    sign = "-" if cents < 0 else ""
    return f"{sign}{abs(cents) // 100}.{abs(cents) % 100:02d}"


def share(cents, per_mille):
    """So many thousandths of an amount, rounded to whole cents, halves away from zero."""
    product = cents * per_mille
    rounded = (abs(product) + 500) // 1000
    return rounded if product >= 0 else -rounded
