"""The map of R1..R3 as the text says it: channel after channel, image after image, in float64."""

import torch

from protoviz.models import resnet


def gradient_map(model, layer, images):
    """sum over channels and RGB of the squared mean gradient of the centre unit, (H, W)."""
    model = model.double()
    total = 0
    for channel in range(model.units[layer]):
        gradients = []
        for image in torch.as_tensor(images, dtype=torch.float64):
            pixels = image.clone().requires_grad_(True)
            maps = model.pre_activation(resnet.normalise(pixels[None]), layer)[0, channel]
            height, width = maps.shape
            maps[(height - 1) // 2, (width - 1) // 2].backward()
            gradients.append(pixels.grad)
        mean = sum(gradients) / len(gradients)
        total = total + (mean**2).sum(0)
    return total.numpy()


def _response(model, layer, image, activation="pre"):
    """The responses (C,) of the centre units to one normalised image."""
    maps = model.pre_activation(image[None], layer)[0]
    if activation == "post":
        maps = torch.relu(maps)
    height, width = maps.shape[-2:]
    return maps[:, (height - 1) // 2, (width - 1) // 2]


def paper_map(model, layer, images, activation):
    """R1..R3 as the code ran: absolute gradients of the channels' mean, their mean, (H, W)."""
    model = model.double()
    total = 0
    for image in torch.as_tensor(images, dtype=torch.float64):
        pixels = image.clone().requires_grad_(True)
        _response(model, layer, pixels, activation).mean().backward()
        total = total + pixels.grad.abs()
    return (total / len(images)).mean(0).numpy()


def unit_map(model, layer, channel, images, estimate):
    """The map of one unit by either estimate, (H, W)."""
    model = model.double()
    gradients = []
    for image in torch.as_tensor(images, dtype=torch.float64):
        pixels = image.clone().requires_grad_(True)
        shown = pixels if estimate == "paper" else resnet.normalise(pixels[None])[0]
        _response(model, layer, shown)[channel].backward()
        gradients.append(pixels.grad)
    if estimate == "paper":
        return (sum(gradient.abs() for gradient in gradients) / len(images)).mean(0).numpy()
    return ((sum(gradients) / len(images)) ** 2).sum(0).numpy()
