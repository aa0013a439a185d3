"""The image prior without any structure: one latent for every channel of every pixel."""

import torch
from torch import Tensor, nn

from protoviz.config.image_size import Size, sides


class Pixels(nn.Module):
    """Latents (B, C * H * W) to images (B, C, H, W) in [0, 1], without parameters.

    A latent of N(0, I) is white noise: the sigmoid of N(0, 1) has mean 1/2 and standard deviation 0.208.

    Args:
        image_size: height and width, px: a number for squares, or (H, W).
        channels: C.
    """

    def __init__(self, image_size: Size, channels: int = 3) -> None:
        super().__init__()
        self.image_size, self.channels = image_size, channels
        self.height, self.width = sides(image_size)
        self.latent_size = channels * self.height * self.width

    def render(self, latents: Tensor) -> Tensor:
        """Images (B, C, H, W) in [0, 1]."""
        return torch.sigmoid(latents).view(-1, self.channels, self.height, self.width)
