"""Modes once more, slowly and literally: from the definition, without scipy."""

import itertools
import math
import statistics

import numpy as np
import torch
from torch import nn


def threshold(vectors, activation, live, share, confidence):
    """What twins keep within, by the median and quartiles of the logarithms of their distances."""
    found = []
    starts = len(vectors) - 1
    for unit in range(vectors.shape[1]):
        best = max((activation[k, unit] for k in range(starts) if live[k, unit]), default=None)
        if best is None:
            continue
        if all(live[k, unit] and activation[k, unit] >= share * best for k in (0, starts)):
            found.append(mse(vectors[0, unit], vectors[starts, unit]))
    if not found:
        return float("nan")
    logs = [math.log(one) for one in found if one > 0]
    if len(logs) < 4:
        return max(found)
    normal = statistics.NormalDist()
    deviation = (interpolated(logs, 0.75) - interpolated(logs, 0.25)) / (2 * normal.inv_cdf(0.75))
    return math.exp(interpolated(logs, 0.5) + normal.inv_cdf(1 - (1 - confidence) / starts) * deviation)


def interpolated(values, quantile):
    """Between the two sorted values that stand next to the quantile's place."""
    values = sorted(values)
    place = quantile * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])


def mse(a, b):
    return sum((float(x) - float(y)) ** 2 for x, y in zip(a, b, strict=True)) / len(a)


def clusters(points, limit, linkage="single"):
    """Agglomeration from its definition: the nearest two are joined until they are too far apart."""
    groups = [[k] for k in range(len(points))]
    merge = {"single": min, "complete": max, "average": lambda values: sum(values) / len(values)}[linkage]

    def apart(pair):
        return merge([mse(points[i], points[j]) for i in groups[pair[0]] for j in groups[pair[1]]])

    while len(groups) > 1:
        pair = min(itertools.combinations(range(len(groups)), 2), key=apart)
        if apart(pair) > limit:
            break
        groups[pair[0]] += groups.pop(pair[1])
    return {frozenset(group) for group in groups}


def meeting(labels):
    """The share of pairs that are of one mode."""
    pairs = list(itertools.combinations(labels, 2))
    return sum(a == b for a, b in pairs) / len(pairs)


class Templates(nn.Module):
    """A convolution whose units respond by the greatest of their correlations with some templates.

    Args:
        counts: templates of each unit, which are orthogonal to each other.
        size: of the images, px; a unit sees all of it.
        seed: of the templates.
    """

    def __init__(self, counts, size=6, seed=0):
        super().__init__()
        rng = np.random.default_rng(seed)
        most = max(counts)
        self.counts = counts
        basis, _ = np.linalg.qr(rng.normal(size=(3 * size * size, most * len(counts))))
        filters = torch.from_numpy(basis.T.reshape(len(counts), most, 3, size, size)).float()
        for unit, count in enumerate(counts):  # of fewer templates, some occur again
            filters[unit] = filters[unit, torch.arange(most) % count]
        self.all = nn.Conv2d(3, most * len(counts), size, bias=False)
        self.all.weight = nn.Parameter(filters.flatten(0, 1))
        self.best = nn.Conv2d(len(counts), len(counts), 1, bias=False)
        self.best.weight = nn.Parameter(torch.eye(len(counts))[:, :, None, None])
        self.most = most

    def forward(self, images):
        found = self.all(images).unflatten(1, (len(self.counts), self.most))
        return self.best(found.amax(2))
