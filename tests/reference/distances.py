"""The distances of D1 and the means of D4 and D6 as the text says them: loops over pairs, in float64."""

import math

import numpy as np


def mse(a, b):
    a, b = [float(x) for x in a], [float(x) for x in b]
    return math.fsum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a)


def cosine(a, b):
    a, b = [float(x) for x in a], [float(x) for x in b]
    length_a, length_b = math.sqrt(math.fsum(x * x for x in a)), math.sqrt(math.fsum(x * x for x in b))
    if length_a == 0 or length_b == 0:
        return 0.0 if length_a == length_b else 1.0
    return 1 - math.fsum(x * y for x, y in zip(a, b, strict=True)) / (length_a * length_b)


DISTANCES = {"mse": mse, "cosine": cosine}


def mean_to_others(distance, vectors, live):
    """Mean over every other live unit; NaN for a unit that is not live or has no other."""
    means = []
    for i in range(len(vectors)):
        others = [
            DISTANCES[distance](vectors[i], vectors[j])
            for j in range(len(vectors))
            if j != i and live[i] and live[j]
        ]
        means.append(math.fsum(others) / len(others) if others else math.nan)
    return np.array(means)


def mean_between_repeats(distance, vectors, live):
    """Mean over the pairs of repeats in which the unit is live twice. vectors (R, U, D), live (R, U)."""
    means = []
    for unit in range(vectors.shape[1]):
        pairs = [
            DISTANCES[distance](vectors[r, unit], vectors[s, unit])
            for r in range(len(vectors))
            for s in range(r + 1, len(vectors))
            if live[r, unit] and live[s, unit]
        ]
        means.append(math.fsum(pairs) / len(pairs) if pairs else math.nan)
    return np.array(means)
