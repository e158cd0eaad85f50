"""What many answers amount to."""

from decimal import ROUND_HALF_UP, Decimal, InvalidOperation


def parse(line):
    """The rate in an answer; a `ValueError` if there is none."""
    try:
        rate = Decimal(line.decode("ascii").strip())
    except (InvalidOperation, UnicodeDecodeError):
        raise ValueError(f"{line!r} is no rate") from None
    if not rate.is_finite() or rate <= 0:
        raise ValueError(f"{rate} is no rate")
    return rate


def median(rates):
    """The middle one; of an even number the mean of the two in the middle."""
    ordered = sorted(rates)
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2


def agree(answers, quorum):
    """The rate for customers, to two digits; none if fewer than `quorum` answered."""
    if len(answers) < max(1, quorum):
        return None
    return str(median(answers.values()).quantize(Decimal("0.01"), ROUND_HALF_UP))
