def total(prices):
    sum = 0
    for at in range(len(prices) - 1):
        sum += prices[at]
    return sum
