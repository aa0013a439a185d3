"""Training the generator: whitened features of the reference encoder, decoded back into images.

The latent of an image is a whitened principal-component projection of the image at half its size and,
with less weight, of what the reference encoder makes of it in layer3 and layer4. Whitening makes
latents of real images look like N(0, I), so that N(0, I) renders to something like the data. This is
the in-pipeline counterpart of the DeePSim generators (Dosovitskiy & Brox 2016), which invert AlexNet's
features; at this size, features alone kept too little about where an edge lies to reproduce it.
"""

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from protoviz import seeding
from protoviz.config.learning import Generator
from protoviz.errors import StudyError
from protoviz.learning.whitening import principal_components
from protoviz.models import resnet
from protoviz.models.priors.generator import Decoder, Shape
from protoviz.progress import track

# The encoder's parts of a latent: layer, cells along each side of its pooled map, and their share of the
# variance relative to the image's own.
_PARTS = (("layer3", 4, 0.2), ("layer4", 1, 0.2))
_LOSS_LAYERS = 2  # layer1 and layer2 judge the decoder's images
_BATCH = 256

LOSSES = ("step", "pixel_loss", "feature_loss")  # columns of the curve


def train(
    images: npt.NDArray[np.uint8],
    encoder: resnet.ResNet18,
    settings: Generator,
    device: torch.device,
) -> tuple[Decoder, list[dict[str, float]]]:
    """Train a decoder to undo the reference encoder.

    The loss is the mean absolute difference of pixels plus `feature_weight` times that of the
    encoder's layer1 and layer2 (before their last ReLU), in units of their mean magnitude, as in
    Dosovitskiy & Brox 2016 without the adversary.

    Args:
        images: uint8 (N, H, W, 3), none of them seen by an analysed network.
        encoder: the reference encoder, frozen, in evaluation mode.
        settings: latent size, width, steps, ...
        device: where to compute.

    Returns:
        The decoder, and rows of its losses along training.

    Raises:
        StudyError: there are fewer images than latent dimensions.
    """
    if len(images) <= settings.latent_size:
        raise StudyError(
            "generator",
            expected=f"more reference images than latent dimensions ({settings.latent_size})",
            found=f"{len(images)}",
            remedy="raise images.reference or lower generator.latent_size in params.yaml",
        )
    encoder = resnet.fold_batch_norm(encoder)
    pixels = torch.from_numpy(np.array(images)).to(device)
    latents = whiten(describe(pixels, encoder), settings.latent_size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.seed("generator weights", settings.seed))
        decoder = Decoder(Shape(settings.latent_size, settings.width, images.shape[1])).to(device)
    decoder.draw_linearly(latents, _as_images(pixels))
    optimizer = torch.optim.Adam(decoder.parameters(), lr=settings.lr)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=settings.steps)
    history = []
    running = torch.zeros(2, device=device)
    every = max(1, settings.steps // 50)
    batches = _batches(len(images), settings)
    for step, rows in enumerate(track(batches, "generator steps", settings.steps), 1):
        target = _as_images(pixels[rows])
        made = decoder.render(latents[rows])
        pixel_loss = functional.l1_loss(made, target)
        feature_loss = _feature_loss(made, target, encoder)
        optimizer.zero_grad()
        (pixel_loss + settings.feature_weight * feature_loss).backward()
        optimizer.step()
        schedule.step()
        running += torch.stack([pixel_loss.detach(), feature_loss.detach()])
        if step % every == 0:
            pixel, feature = (running / every).tolist()
            history.append(dict(zip(LOSSES, (step, pixel, feature), strict=True)))
            running.zero_()
    return decoder.eval().requires_grad_(False), history


def describe(pixels: Tensor, encoder: resnet.ResNet18) -> Tensor:
    """What the latent is made from: pooled maps of the encoder, and the image at half its size.

    Args:
        pixels: uint8 (N, H, W, 3).
        encoder: the reference encoder.

    Returns:
        float32 (N, D); the variance of a part, summed over its dimensions, is its share: one for the
        image, those of `_PARTS` for the encoder's maps.
    """
    parts: list[list[Tensor]] = [[] for _ in range(len(_PARTS) + 1)]
    with torch.no_grad():
        for rows in pixels.split(_BATCH):
            images = _as_images(rows)
            normal = resnet.normalise(images)
            maps = dict(encoder.pre_activations(normal))
            for kept, (layer, cells, _) in zip(parts, _PARTS, strict=False):
                kept.append(functional.adaptive_avg_pool2d(maps[layer], cells).flatten(1))
            parts[-1].append(functional.avg_pool2d(images, 2).flatten(1))
    described = []
    for kept, share in zip(parts, [*(share for *_, share in _PARTS), 1.0], strict=True):
        part = torch.cat(kept)
        part = part - part.mean(0)
        described.append(part * (share**0.5 / part.square().sum(1).mean().sqrt()))
    return torch.cat(described, 1)


def whiten(description: Tensor, dimensions: int) -> Tensor:
    """Project on the first principal components and scale each to unit variance.

    Args:
        description: float32 (N, D).
        dimensions: principal components to keep, at most min(N, D).

    Returns:
        float32 (N, dimensions) with identity covariance.
    """
    centred = (description - description.mean(0)).double()
    return (centred @ principal_components(centred, dimensions)).float()


def _as_images(rows: Tensor) -> Tensor:
    """uint8 (B, H, W, 3) to float32 (B, 3, H, W) in [0, 1]."""
    return rows.permute(0, 3, 1, 2).float().div(255)


def _feature_loss(made: Tensor, target: Tensor, encoder: resnet.ResNet18) -> Tensor:
    """Mean absolute difference of the first layers, in units of the target's mean magnitude."""
    with torch.no_grad():
        wanted = dict(islice(encoder.pre_activations(resnet.normalise(target)), _LOSS_LAYERS))
    got = islice(encoder.pre_activations(resnet.normalise(made)), _LOSS_LAYERS)
    losses = [functional.l1_loss(maps, wanted[layer]) / wanted[layer].abs().mean() for layer, maps in got]
    return torch.stack(losses).mean()


def _batches(count: int, settings: Generator) -> Iterator[npt.NDArray[np.int64]]:
    """Row numbers of each step's batch: shuffled passes over the images, from the seed."""
    rng = seeding.generator("generator batches", settings.seed)
    size = min(settings.batch_size, count)
    order = np.empty(0, np.int64)
    for _ in range(settings.steps):
        if len(order) < size:
            order = rng.permutation(count)
        yield order[:size]
        order = order[size:]
