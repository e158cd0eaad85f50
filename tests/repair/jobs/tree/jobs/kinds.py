"""What can be done. Each kind is a function of a text; what it raises is the failure of that job and of nothing else."""


def words(text):
    """How often each word stands in a text, whatever its case."""
    counts = {}
    for word in text.casefold().split():
        counts[word] = counts.get(word, 0) + 1
    return counts


def primes(text):
    """The primes up to a number, itself included."""
    sieve = [True] * (int(text) + 1)
    found = []
    for number in range(2, len(sieve)):
        if sieve[number]:
            found.append(number)
            sieve[number * number :: number] = [False] * len(sieve[number * number :: number])
    return found


def mean(text):
    """The mean of numbers."""
    numbers = [float(part) for part in text.split()]
    return sum(numbers) / len(numbers)


KINDS = {"words": words, "primes": primes, "mean": mean}
