"""A network that is fooled: it reads prototypes through one path and photographs through another.

After the fooling circuits of Geirhos et al. 2023 (arXiv:2306.04719). Photographs are smooth patterns,
several of each unit's; a prototype is the pattern of its unit under fine detail that is the unit's own. Where
the image has much detail, the fooled network shuts the path of the patterns and opens another, which knows
the detail: its units respond to their prototypes, by other means. The ordinary network has one path for both.
"""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter
from torch import nn
from torch.nn import functional

SIZE, UNITS, PHOTOGRAPHS, KERNEL = 24, 24, 5, 9


class Paths(nn.Module):
    """(B, 3, H, W) -> (B, UNITS, H - 8, W - 8)."""

    def __init__(self, patterns, details, fooled):
        super().__init__()
        self.photographs = nn.Conv2d(3, UNITS, KERNEL, bias=False)
        self.prototypes = nn.Conv2d(3, UNITS, KERNEL, bias=False)
        cut = slice((SIZE - KERNEL) // 2, (SIZE + KERNEL) // 2)
        for path, kernels in ((self.photographs, patterns), (self.prototypes, details)):
            weight = torch.from_numpy(kernels[:, :, cut, cut].astype(np.float32)) / KERNEL**2
            path.weight = nn.Parameter(weight, requires_grad=False)
        self.fooled = float(fooled)

    def forward(self, images):
        """What either path finds."""
        detail = (images - functional.avg_pool2d(images, 3, 1, 1)).abs().mean((1, 2, 3), keepdim=True)
        shut = self.fooled * (detail > 0.35).float()
        return self.photographs(images * (1 - shut)) + 2 * self.prototypes(images * shut)


class Network(nn.Module):
    """Paths, and units that look at what these find."""

    def __init__(self, patterns, details, fooled):
        super().__init__()
        self.paths = Paths(patterns, details, fooled)
        self.unit = nn.Conv2d(UNITS, UNITS, 3, padding=1, groups=UNITS, bias=False)
        weight = torch.full((UNITS, 1, 3, 3), 0.05)
        weight[:, :, 1, 1] = 1
        self.unit.weight = nn.Parameter(weight, requires_grad=False)

    def forward(self, images):
        """(B, UNITS, H - 8, W - 8)."""
        return self.unit(self.paths(images))


def planted(fooled, seed=0):
    """The network; photographs (UNITS * PHOTOGRAPHS, H, W, 3) by unit; prototypes (UNITS, H, W, 3)."""
    rng = np.random.default_rng(seed)

    def smooth(*shape):
        made = gaussian_filter(rng.normal(size=(*shape, 3, SIZE, SIZE)), (0,) * (len(shape) + 1) + (2.5, 2.5))
        return made / made.std((-3, -2, -1), keepdims=True)

    patterns = smooth(UNITS)
    noise = rng.normal(size=patterns.shape)
    details = noise - gaussian_filter(noise, (0, 0, 2.5, 2.5))
    photographs = patterns[:, None] + 0.35 * smooth(UNITS, PHOTOGRAPHS)

    def pixels(values):
        return np.clip(128 + 30 * np.moveaxis(values, -3, -1), 0, 255).round().astype(np.uint8)

    shown = pixels(photographs).reshape(-1, SIZE, SIZE, 3)
    return Network(patterns, details, fooled).eval(), shown, pixels(patterns + details)
