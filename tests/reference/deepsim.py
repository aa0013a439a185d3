"""The generator of DeePSim in the words of its published description: slow, literal, without modules."""

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn import functional

KERNEL_AND_STRIDE = {
    "deconv5": (4, 2),
    "conv5_1": (3, 1),
    "deconv4": (4, 2),
    "conv4_1": (3, 1),
    "deconv3": (4, 2),
    "conv3_1": (3, 1),
    "deconv2": (4, 2),
    "deconv1": (4, 2),
    "deconv0": (4, 2),
}


def shapes() -> dict[str, tuple[int, ...]]:
    """Names and shapes of the published weights of fc6."""
    channels = {
        "deconv5": (256, 256),
        "conv5_1": (256, 512),
        "deconv4": (512, 256),
        "conv4_1": (256, 256),
        "deconv3": (256, 128),
        "conv3_1": (128, 128),
        "deconv2": (128, 64),
        "deconv1": (64, 32),
        "deconv0": (32, 3),
    }
    found: dict[str, tuple[int, ...]] = {}
    for name in ("defc7", "defc6", "defc5"):
        found |= {f"{name}.weight": (4096, 4096), f"{name}.bias": (4096,)}
    for name, (inputs, outputs) in channels.items():
        kernel = KERNEL_AND_STRIDE[name][0]
        found |= {f"{name}.weight": (inputs, outputs, kernel, kernel), f"{name}.bias": (outputs,)}
    return found


def render(weights: Mapping[str, Tensor], latents: Tensor) -> Tensor:
    """Latents (B, 4096) to images (B, 3, 256, 256), R, G, B in [0, 1]."""
    x = latents
    for name in ("defc7", "defc6", "defc5"):
        x = functional.leaky_relu(x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"], 0.3)
    x = x.reshape(-1, 256, 4, 4)
    for name, (_, stride) in KERNEL_AND_STRIDE.items():
        x = functional.conv_transpose2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, 1)
        if name != "deconv0":
            x = functional.leaky_relu(x, 0.3)
    rgb = torch.stack([x[:, 2] + 123, x[:, 1] + 117, x[:, 0] + 104], 1)
    return torch.clamp(rgb, 0, 255) / 255
