"""The image prior without any structure: one latent for every colour of every pixel."""

import torch
from torch import Tensor, nn


class Pixels(nn.Module):
    """Latents (B, 3 * S * S) to RGB images (B, 3, S, S) in [0, 1], without parameters.

    A latent of N(0, I) is white noise: the sigmoid of N(0, 1) has mean 1/2 and standard deviation 0.208.
    """

    def __init__(self, image_size: int) -> None:
        super().__init__()
        self.image_size = image_size
        self.latent_size = 3 * image_size**2

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, 3, S, S) in [0, 1]."""
        return torch.sigmoid(latents).view(-1, 3, self.image_size, self.image_size)
