"""The paper's evolution and ascent of one unit, one image at a time, in plain loops: an oracle."""

import numpy as np
import torch


def evolve(respond, start, noise, sigma, parents):
    """The mean of an isotropic evolution with a constant step size after the last generation.

    Args:
        respond: latent (n,) -> response.
        start: (n,).
        noise: (generations, samples, n) of N(0, I).
        sigma: step size.
        parents: how many of the best are recombined.
    """
    raw = [np.log(parents + 1) - np.log(rank) for rank in range(1, parents + 1)]
    mean = start.copy()
    for generation in noise:
        children = [mean + sigma * draw for draw in generation]
        scores = [respond(child) for child in children]
        best = sorted(range(len(children)), key=lambda k: -scores[k])[:parents]
        mean = sum(w / sum(raw) * children[k] for w, k in zip(raw, best, strict=True))
    return mean


def adam(respond, start, steps, lr):
    """Kingma & Ba 2015, algorithm 1, upwards, with gradients of a torch function of (n,)."""
    z, m, v = start.copy(), 0.0, 0.0
    for t in range(1, steps + 1):
        latent = torch.tensor(z, requires_grad=True)
        (gradient,) = torch.autograd.grad(respond(latent), latent)
        m, v = 0.9 * m + 0.1 * gradient.numpy(), 0.999 * v + 0.001 * gradient.numpy() ** 2
        z = z + lr * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return z
