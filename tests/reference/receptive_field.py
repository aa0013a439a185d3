"""The map of R1..R3 as the text says it: channel after channel, image after image, in float64."""

import torch

from protoviz import backbones


def gradient_map(model, layer, images):
    """sum over channels and RGB of the squared mean gradient of the centre unit, (H, W)."""
    model = model.double()
    total = 0
    for channel in range(model.units[layer]):
        gradients = []
        for image in torch.as_tensor(images, dtype=torch.float64):
            pixels = image.clone().requires_grad_(True)
            maps = model.pre_activation(backbones.normalise(pixels[None]), layer)[0, channel]
            height, width = maps.shape
            maps[(height - 1) // 2, (width - 1) // 2].backward()
            gradients.append(pixels.grad)
        mean = sum(gradients) / len(gradients)
        total = total + (mean**2).sum(0)
    return total.numpy()
