"""The DeePSim fc6 generator as it is published and run by others, with random weights of the right scale.

For measuring time, and activations relative to each other: what it renders are colourful blobs, not the
trained generator's images. They have the contrast of photographs where latents are as long as those that the
paper's algorithm ends with. Were they so already where latents usually lie, most of the pixels that a search
sees would be at the ends of their range, and the gradient of a unit would turn much more on a random move
of 4 % than it does with a trained generator (`python -m benchmarks.smoothness`).
"""

import torch
from torch import Tensor, nn

from protoviz.models.priors import deepsim

LENGTH = 3.3  # of the latents that the paper's algorithm ends with, in units of their usual one


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
        for parameter in self.layers[-1].parameters():
            parameter.data.div_(LENGTH)
        self.register_buffer("mean", torch.tensor(deepsim.MEAN)[:, None, None])
        self.eval().requires_grad_(False)

    def render(self, latents: Tensor) -> Tensor:
        """See `protoviz.models.priors.base.ImagePrior`."""
        raw = self.layers(latents)[:, [2, 1, 0]]
        return torch.clamp(raw + self.mean, 0, 255) / 255

    def ours(self) -> deepsim.DeepSim:
        """The same prior as this project runs it."""
        return deepsim.DeepSim(self.layers.state_dict())
