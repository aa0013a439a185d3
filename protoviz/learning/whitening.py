"""Principal components of unit variance, which make up the latents of learnt image priors."""

import torch
from torch import Tensor


def principal_components(centred: Tensor, kept: int) -> Tensor:
    """The matrix that projects points on their first principal components, each scaled to unit variance.

    >>> points = torch.tensor([[2.0, 0.0], [-2.0, 0.0], [0.0, 1.0], [0.0, -1.0]]).double()
    >>> round((points @ principal_components(points, 1)).square().mean().item(), 6)
    1.0

    Args:
        centred: float64 (N, D), points without their mean.
        kept: components, at most min(N, D).

    Returns:
        float64 (D, kept).
    """
    values, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    return vectors.flip(1)[:, :kept] / values.flip(0)[:kept].clamp_min(1e-12).sqrt()
