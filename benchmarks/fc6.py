"""The DeePSim fc6 generator as it is published and run by others, with random weights of the right scale.

For measuring time, and activations relative to each other: what it renders are colourful blobs, not the
trained generator's images.
"""

import torch
from torch import Tensor, nn

from protoviz.priors import deepsim


class PublishedFc6(nn.Module):
    """Latents (B, 4096) to images (B, 3, 256, 256): transposed convolutions, BGR around a mean, clamped.

    Args:
        seed: of the weights.
    """

    latent_size, image_size = deepsim.LATENT, deepsim.SIZE
    mean: Tensor

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.layers = deepsim.build(seed)
        self.register_buffer("mean", torch.tensor(deepsim.MEAN)[:, None, None])
        self.eval().requires_grad_(False)

    def render(self, latents: Tensor) -> Tensor:
        """See `protoviz.priors.base.ImagePrior`."""
        raw = self.layers(latents)[:, [2, 1, 0]]
        return torch.clamp(raw + self.mean, 0, 255) / 255

    def ours(self) -> deepsim.DeepSim:
        """The same prior as this project runs it."""
        return deepsim.DeepSim(self.layers.state_dict())
