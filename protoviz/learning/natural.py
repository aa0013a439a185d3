"""Training the image prior `natural`: crops of photographs, described and whitened, decoded back.

The loss is the mean absolute difference of pixels plus the weighted squared distance of unit-normalised
features of EfficientNet-Lite0 (Zhang et al. 2018, arXiv:1801.03924, without their learnt weights). Further
steps may add a discriminator of patches (Isola et al. 2017, arXiv:1611.07004) that tells crops from what the
decoder makes of latents of photographs and of N(0, I): it adds the texture that the other losses average
away.
"""

import hashlib
import math
import pickle
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from protoviz import compute, files, seeding
from protoviz.config.natural_prior import NaturalPrior
from protoviz.data.base import Pixels
from protoviz.errors import StudyError, said
from protoviz.learning import natural_latents
from protoviz.learning.natural_latents import JUDGES, NEEDED, Encoder, Whitening
from protoviz.learning.resampling import Crops, Turns, crop_and_resize
from protoviz.models.priors.natural import Natural, Shape, initial
from protoviz.progress import track

LOSSES = ("step", "pixel_loss", "feature_loss", "adversary_loss")  # columns of the curve

_HELD_OUT = 10  # one photograph in so many is not trained on
_EVERY = 100  # steps that a row of the curve averages
_KEPT = 250  # steps after which the state of the training is written
_SHIFT = 8  # px, the coarsest stride of the blocks that judge
_DESCRIBED = 64  # crops described at once


def train(
    photographs: Pixels, settings: NaturalPrior, device: torch.device, state: Path | None = None
) -> tuple[Natural, list[dict[str, float]], dict[str, float]]:
    """Train a decoder to reconstruct photographs from their descriptions.

    Args:
        photographs: uint8 (N, S, S, 3), larger than the decoder's images.
        settings: shape, steps, ...
        device: where to compute.
        state: a file for the state of the training; if it exists, the training resumes from it.

    Returns:
        The decoder, rows of its losses along training, and its mean losses on crops of photographs that
        were held out.

    Raises:
        StudyError: there are too few photographs; `state` is that of another training.
    """
    held_out = np.arange(len(photographs)) % _HELD_OUT == _HELD_OUT - 1
    if (count := int((~held_out).sum())) <= settings.latent_size:
        raise StudyError(
            "photographs",
            expected=f"more of them to train on than a latent has dimensions, {settings.latent_size}, "
            f"beside one in {_HELD_OUT}, which judges",
            found=f"{count} of {len(photographs)}",
            remedy="add photographs",
        )
    training = _Training(torch.from_numpy(photographs[~held_out]).to(device), settings, device)
    if state is not None and state.exists():
        training.resume(state)
    for step in track(range(training.step, training.steps), "steps", training.steps - training.step):
        training.advance(step)
        if state is not None and training.step % _KEPT == 0:
            training.keep(state)
    unseen = training.losses(torch.from_numpy(photographs[held_out]).to(device))
    return training.decoder.eval().requires_grad_(False), training.history, unseen


class _Training:
    """A training and its state."""

    def __init__(self, photographs: Tensor, settings: NaturalPrior, device: torch.device) -> None:
        self.photographs, self.settings, self.device = photographs, settings, device
        self.about = {
            "settings": settings.model_dump(mode="json"),
            "photographs": hashlib.sha256(photographs.cpu().numpy().tobytes()).hexdigest(),
        }
        self.step, self.steps = 0, settings.steps + settings.adversary_steps
        self.half = compute.precision(settings.precision, device) is torch.bfloat16
        self.encoder = Encoder().to(device)
        draws = torch.Generator().manual_seed(seeding.seed("natural prior weights", settings.seed))
        shape = Shape(settings.latent_size, settings.widths, settings.image_size)
        self.decoder = initial(shape, draws).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seeding.seed("natural prior adversary", settings.seed))
            self.adversary = _adversary().to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimiser = torch.optim.Adam(self.decoder.parameters(), fused=True)
        self.opponent = torch.optim.Adam(
            self.adversary.parameters(), lr=settings.adversary_lr, betas=(0.5, 0.99), fused=True
        )
        self.history: list[dict[str, float]] = []
        self.running = torch.zeros(3, device=device)
        self.whitening = self._whitening()

    def advance(self, step: int) -> None:
        """One step of both players."""
        settings = self.settings
        rng = seeding.generator("natural prior step", settings.seed, step)
        chosen = rng.integers(0, len(self.photographs), settings.batch_size)
        target = self._crops(self.photographs[chosen], rng)
        competes = step >= settings.steps
        latents = self._latents(target)
        if competes:  # half as many latents that come from no photograph
            drawn = rng.standard_normal((settings.batch_size // 2, settings.latent_size), np.float32)
            latents = torch.cat([latents, torch.from_numpy(drawn).to(self.device)])
        with self._autocast():
            images = self.decoder.render(latents)
        made = images[: len(target)]
        pixel = functional.l1_loss(made.float(), target)
        # The positions of the network's strides must not show in the images.
        top, left = rng.integers(0, _SHIFT + 1, 2)
        seen = (..., slice(top, top - _SHIFT or None), slice(left, left - _SHIFT or None))
        feature = self._feature_loss(made[seen], target[seen])
        loss = pixel + settings.feature_weight * feature
        wrong = torch.zeros((), device=self.device)
        if competes:
            wrong = self._judge(target, images.detach())
            with self._autocast():
                verdict = self.adversary(images)
            loss = loss - settings.adversary_weight * verdict.float().mean()
        for group in self.optimiser.param_groups:
            group["lr"] = settings.lr * _rate(step, settings)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.step = step + 1
        self.running += torch.stack([pixel.detach(), feature.detach(), wrong])
        if self.step % _EVERY == 0 or self.step == self.steps:
            count = (self.step - 1) % _EVERY + 1
            row = (self.step, *(self.running / count).tolist())
            self.history.append(dict(zip(LOSSES, row, strict=True)))
            self.running.zero_()

    def losses(self, photographs: Tensor) -> dict[str, float]:
        """Mean losses on crops of other photographs, one crop of each, the same for every training."""
        rng = seeding.generator("natural prior held out", self.settings.seed)
        total = torch.zeros(2, device=self.device)
        with torch.no_grad():
            for some in photographs.split(_DESCRIBED):
                target = self._crops(some, rng)
                made = self.decoder.render(self._latents(target))
                losses = functional.l1_loss(made, target), self._feature_loss(made, target)
                total += len(some) * torch.stack(losses)
        pixel, feature = (total / len(photographs)).tolist()
        return {"pixel_loss": pixel, "feature_loss": feature}

    def keep(self, path: Path) -> None:
        """Write the state."""
        value = {name: getattr(self, name).state_dict() for name in _PARTS} | {
            "about": self.about,
            "step": self.step,
            "history": self.history,
            "running": self.running,
        }
        with files.complete(path) as partial:
            torch.save(value, partial)

    def resume(self, path: Path) -> None:
        """Read a state.

        Raises:
            StudyError: it is that of another training.
        """
        try:
            value: Mapping[str, Any] = torch.load(path, map_location=self.device, weights_only=True)
            found = "that of another" if value["about"] != self.about else None
        except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
            found = said(error)
        if found:
            raise StudyError(
                str(path),
                expected="the state of a training with these settings and photographs",
                found=found,
                remedy="remove it, or write to another file",
            )
        for name in _PARTS:
            getattr(self, name).load_state_dict(value[name])
        self.step, self.history, self.running = value["step"], value["history"], value["running"]

    def _whitening(self) -> Whitening:
        rng = seeding.generator("natural prior whitening", self.settings.seed)
        described: list[list[Tensor]] = []
        rounds = [some for _ in range(self.settings.crops) for some in self.photographs.split(_DESCRIBED)]
        with torch.no_grad():
            for some in track(rounds, f"batches of {_DESCRIBED} described"):
                images = self._crops(some, rng)
                described.append(natural_latents.describe(images, self._maps(images, NEEDED)))
        parts = [torch.cat(part) for part in zip(*described, strict=True)]
        return natural_latents.whitening(parts, self.settings.components)

    def _crops(self, photographs: Tensor, rng: np.random.Generator) -> Tensor:
        """A random square of each, mirrored or not, (B, 3, S, S) in [0, 1]."""
        count, extent, size = len(photographs), photographs.shape[1], self.settings.image_size
        side = rng.integers(min(size, extent), extent + 1, count)
        top, left = (torch.from_numpy(rng.integers(0, extent - side + 1)).double() for _ in range(2))
        length = torch.from_numpy(side).double()
        mirrored, never = torch.from_numpy(rng.random(count) < 0.5), torch.zeros(count, dtype=torch.bool)
        window = Crops(*(part.to(self.device) for part in (top, left, length, length)))
        turns = Turns(*(part.to(self.device) for part in (mirrored, never, never)))
        return crop_and_resize(photographs, window, turns, size).clamp_(0, 1)

    def _maps(self, images: Tensor, count: int) -> list[Tensor]:
        with self._autocast():
            maps: list[Tensor] = self.encoder(images, count)
        return maps

    def _latents(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.whitening(natural_latents.describe(images, self._maps(images, NEEDED)))

    def _feature_loss(self, made: Tensor, target: Tensor) -> Tensor:
        """Squared distance of unit-normalised features, mean over places and blocks."""
        with torch.no_grad():
            wanted = self._maps(target, JUDGES)
        pairs = zip(self._maps(made, JUDGES), wanted, strict=True)
        distances = [
            (functional.normalize(got.float()) - functional.normalize(want.float())).square().sum(1).mean()
            for got, want in pairs
        ]
        return torch.stack(distances).mean()

    def _judge(self, real: Tensor, made: Tensor) -> Tensor:
        """One step of the adversary, by the hinge loss (Lim & Ye 2017, arXiv:1705.02894)."""
        with self._autocast():
            right, wrong = self.adversary(real).float(), self.adversary(made).float()
        loss = functional.relu(1 - right).mean() + functional.relu(1 + wrong).mean()
        self.opponent.zero_grad()
        loss.backward()
        self.opponent.step()
        return loss.detach()

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.half)


_PARTS = ("decoder", "adversary", "optimiser", "opponent")


def _rate(step: int, settings: NaturalPrior) -> float:
    """The learning rate as a share of the greatest: half a cosine wave to 0, then again from a quarter."""
    if step < settings.steps:
        return (1 + math.cos(math.pi * (step + 0.5) / settings.steps)) / 2
    return (1 + math.cos(math.pi * (step - settings.steps + 0.5) / settings.adversary_steps)) / 8


def _adversary() -> nn.Sequential:
    """Images (B, 3, S, S) to verdicts on patches of 22 px, 8 px apart."""
    widths = (3, 48, 96, 192)
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.utils.parametrizations.spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1))]
        layers += [nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 1))
