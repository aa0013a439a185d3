"""What is run on: networks, image priors and units, of the default study and at full size.

To add a study, give it a name in `STUDIES`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.fc6 import PublishedFc6
from protoviz import files, layout
from protoviz.models import checkpoints, resnet
from protoviz.models.priors import generator
from protoviz.models.priors.base import ImagePrior
from protoviz.models.priors.generator import Decoder, Shape
from protoviz.registry import lookup

RUN = 1
SEED = 1  # of weights that are not trained
UNTRAINED = "untrained"
CALIBRATION = 64  # images from which batch normalisation takes its statistics where a network is untrained


@dataclass(frozen=True)
class Subject:
    """A network, the prior that makes images for it, and where its random numbers come from.

    Attributes:
        name: as in the table.
        network: frozen, in evaluation mode, in float32.
        prior: frozen, in float32.
        size: input size of the network, px.
        address: (condition, run, epoch).
    """

    name: str
    network: resnet.ResNet18
    prior: ImagePrior
    size: int
    address: tuple[str, int, int]

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device


@dataclass(frozen=True)
class Study:
    """Networks that are measured together.

    Attributes:
        names: the names of its networks; reads folders, no weights.
        load: the network of a name, on a device; with the prior as others run it, or as this project does.
        title: what it is, for the header.
        per_layer: units of each layer, and how many of them are measured one at a time; None: all.
        layers_at_once: layers whose units share batches in this project's engine; several, where only a few
            units of each are measured, which would make batches of a size that nobody works with.
    """

    names: Callable[[], list[str]]
    load: Callable[[str, torch.device, bool], Subject]
    title: str
    per_layer: tuple[int | None, int | None]
    layers_at_once: int = 1


def load(study: str, name: str, device: torch.device, ours: bool = False) -> Subject:
    """A network of a study.

    Args:
        study: name of the study.
        name: of the network.
        device: where to compute.
        ours: with the prior in the form that this project runs, where it differs from the published one.

    Raises:
        StudyError: no such study, or the files it needs are missing.
    """
    return lookup(STUDIES, study, "study of the benchmark").load(name, device, ours)


def spread(units: Mapping[str, Sequence[int]], per_layer: int | None) -> dict[str, list[int]]:
    """At most so many channels of every layer, evenly spaced over those given.

    Args:
        units: layer -> channels.
        per_layer: how many; None: all.
    """
    chosen = {}
    for layer, channels in units.items():
        wanted = min(per_layer or len(channels), len(channels))
        chosen[layer] = [channels[(2 * k + 1) * len(channels) // (2 * wanted)] for k in range(wanted)]
    return chosen


def trained_address(name: str) -> tuple[str, int, int]:
    """(condition, run, epoch) of a network of the default study; at epoch 0 conditions do not differ (T7)."""
    if name == UNTRAINED:
        return next(iter(_kept())), RUN, 0
    condition, epoch = name.split(" epoch ")
    return condition, RUN, int(epoch)


def _trained_names() -> list[str]:
    """The untrained network, and the last kept epoch of the first run of every condition."""
    names = [f"{condition} epoch {epochs[-1]}" for condition, epochs in _kept().items()]
    if not names or not layout.GENERATOR.is_file():
        raise files.missing(layout.GENERATOR if names else layout.checkpoints("*", RUN))
    return [UNTRAINED, *names]


def _kept() -> dict[str, list[int]]:
    """Condition -> epochs whose checkpoints lie there."""
    pattern = layout.checkpoints("*", RUN)
    kept = {}
    for folder in sorted(pattern.parent.glob(pattern.name)):
        epochs = sorted(int(path.stem.split("_")[1]) for path in folder.glob("epoch_*.safetensors"))
        if epochs:
            kept[folder.name.removesuffix(layout.item("", RUN))] = epochs
    return kept


def _trained(name: str, device: torch.device, _ours: bool) -> Subject:
    condition, _, epoch = trained_address(name)
    prior = generator.load(layout.GENERATOR, device)
    network, _ = checkpoints.load(checkpoints.path(layout.checkpoints(condition, RUN), epoch), device)
    return Subject(name, network, prior, prior.image_size, (condition, RUN, epoch))


def _full(name: str, device: torch.device, ours: bool) -> Subject:
    """The paper's sizes: 4096 dimensions, 256 px, ResNet18 of width 64 at 96 px."""
    prior = PublishedFc6(SEED)
    subject = untrained(name, prior, 64, 96)
    return on(replace(subject, prior=prior.ours()) if ours else subject, device)


def _tiny(name: str, device: torch.device, _ours: bool) -> Subject:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        prior = Decoder(Shape(16, 12, 32)).eval().requires_grad_(False)
    return on(untrained(name, prior, 4, 32), device)


def untrained(name: str, prior: ImagePrior, width: int, size: int) -> Subject:
    """A random ResNet18 whose batch normalisation fits a prior's images, on the CPU like the prior."""
    network = resnet.initial("resnet18", width, SEED)
    latents = torch.randn(CALIBRATION, prior.latent_size, generator=torch.Generator().manual_seed(SEED))
    calibrate(network, [resized(prior.render(some), size) for some in latents.split(16)])
    network.eval().requires_grad_(False)
    return Subject(name, network, prior, size, ("random", RUN, 0))


def on(subject: Subject, device: torch.device) -> Subject:
    """The subject, moved to a device."""
    assert isinstance(subject.prior, nn.Module)
    subject.prior.to(device)
    subject.network.to(device)
    return subject


def calibrate(network: nn.Module, batches: Sequence[Tensor]) -> None:
    """Give batch normalisation the mean statistics of these images, so that responses are of order one."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the mean over batches
    network.train()
    with torch.no_grad():
        for images in batches:
            network(resnet.normalise(images))


def resized(images: Tensor, size: int) -> Tensor:
    """Bilinear with antialiasing, as torchvision's Resize does it; images of this size are left alone."""
    if images.shape[-1] == size:
        return images
    return functional.interpolate(images, (size, size), mode="bilinear", antialias=True)


STUDIES = {
    "default": Study(_trained_names, _trained, "the default study's networks and generator", (None, 8)),
    "full": Study(
        lambda: ["ResNet18, fc6"],
        _full,
        "full size: fc6 (4096-d, 256 px) and ResNet18 (width 64, 96 px), random weights",
        (6, 1),
        layers_at_once=4,
    ),
    "tiny": Study(lambda: ["tiny"], _tiny, "a random network of width 4 at 32 px: does it all run", (2, 1)),
}
