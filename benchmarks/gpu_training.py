"""SimCLR on a GPU: images a second with views drawn there, and with lightly's loader feeding the same step.

The step is that of `protoviz.learning.simclr` without Lightning around it: two views of each image through
ResNet18 and lightly's head, NT-Xent, SGD. Images are random bytes, as no part of the work depends on them.
"""

import hashlib
import time
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules.heads import SimCLRProjectionHead
from lightly.transforms.simclr_transform import SimCLRTransform
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.parts import Budget, Row, Setting
from protoviz import seeding
from protoviz.config.learning import Augment
from protoviz.learning import batches
from protoviz.learning.augment import draw_views
from protoviz.models import resnet

AUGMENT = Augment(vf_prob=0.5, rr_prob=0.5)  # the preset paper's
TEMPERATURE, LR, MOMENTUM, DECAY, OUTPUTS = 0.5, 0.06, 0.9, 5e-4, 128
SHARES = (("ours", 0.2), ("views", 0.1), ("step", 0.1), ("lightly", 0.6))  # of the time
REPEATED = 3  # steps of a training that is done twice

Views = tuple[Tensor, Tensor]


class Step:
    """A training whose call makes one step, and waits until it is done."""

    def __init__(self, setting: Setting) -> None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            network = resnet.build("resnet18", setting.width)
            features = network.units["layer4"]
            head = SimCLRProjectionHead(features, features, OUTPUTS)
        self.network = network.to(memory_format=torch.channels_last).to(setting.device).train()
        self.head = head.to(setting.device).train()
        self.loss = NTXentLoss(temperature=TEMPERATURE)
        parameters = [*self.network.parameters(), *self.head.parameters()]
        self.optimizer = torch.optim.SGD(parameters, lr=LR, momentum=MOMENTUM, weight_decay=DECAY)

    def __call__(self, views: Views) -> None:
        """Learn from two views of some images."""
        self.optimizer.zero_grad(set_to_none=True)
        first, second = (self.head(self.network(view)) for view in views)
        loss = self.loss(first, second)
        assert torch.isfinite(loss), "the loss is no longer finite"
        loss.backward()
        self.optimizer.step()

    def digest(self) -> str:
        """SHA-256 of the weights."""
        digest = hashlib.sha256()
        for _, tensor in sorted(self.network.state_dict().items()):
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
        return digest.hexdigest()


def images_a_second(setting: Setting, budget: Budget) -> Iterator[Row]:
    """Part b."""
    images, step = _images(setting), Step(setting)
    ready = next(ours(images, setting))
    feeds: dict[str, tuple[Iterator[Views], Callable[[Views], None], int]] = {
        "ours": (ours(images, setting), step, 2),
        "views": (ours(images, setting), lambda _: None, 2),
        "step": (iter(lambda: ready, None), step, 2),
        # Its processes begin together: what they make first arrives at once.
        "lightly": (lightlys(images, setting), step, setting.threads),
    }
    speed, how = {}, {}
    whole = budget.left
    for name, share in SHARES:
        speed[name], how[name] = rate(*feeds[name], setting, whole * share)
    times = speed["ours"] / speed["lightly"]
    yield Row("b", "SimCLR, views drawn on the device", f"{speed['ours']:,.0f} images/s", how["ours"])
    yield Row("b", "drawing the views alone", f"{speed['views']:,.0f} images/s", how["views"])
    yield Row("b", "the step alone, views ready", f"{speed['step']:,.0f} images/s", how["step"])
    processes = f"{setting.threads} processes, {how['lightly']}"
    yield Row("b", "SimCLR, lightly's loader", f"{speed['lightly']:,.0f} images/s", processes)
    yield Row("b", "views on the device over lightly's loader", f"{times:.1f} times", "the same step")


def twice(setting: Setting) -> Row:
    """Part d: whether a second training gives the same bytes."""
    images, digests = _images(setting), []
    for _ in range(2):
        step, feed = Step(setting), ours(images, setting)
        for _ in range(REPEATED):
            step(next(feed))
        digests.append(step.digest())
    result = f"the same bytes, {digests[0][:12]}" if len(set(digests)) == 1 else "other weights"
    return Row("d", "SimCLR: two runs", result, f"weights after {REPEATED} steps of {setting.batch} images")


def rate(
    feed: Iterator[Views], work: Callable[[Views], None], warm: int, setting: Setting, seconds: float
) -> tuple[float, str]:
    """Images a second once a feed is warm, and over how much that was measured.

    Args:
        feed: views without end.
        work: what is done with them.
        warm: batches before the measurement; fewer, where they take half of the time.
        setting: batch size, device.
        seconds: all that this may take; one batch is measured in any case.
    """
    begin, made, done = time.perf_counter(), 0, 0
    while made < warm and time.perf_counter() - begin < seconds / 2:
        work(next(feed))
        made += 1
    setting.settle()
    start = time.perf_counter()
    while not done or time.perf_counter() - begin < seconds:
        work(next(feed))
        done += 1
    setting.settle()
    took = time.perf_counter() - start
    cut = f"**cut short**: {made} of {warm} batches to warm up; " if made < warm else ""
    return done * setting.batch / took, f"{cut}{done} batches of {setting.batch} in {took:.1f} s"


def ours(images: NDArray[np.uint8], setting: Setting) -> Iterator[Views]:
    """Views without end as a stage of the pipeline has them: batches of bytes, augmented on the device."""
    loader = batches.shuffled(images, setting.batch, run=1)
    for epoch in count():
        assert isinstance(loader.sampler, batches.EpochOrder)
        loader.sampler.set_epoch(epoch)
        for number, batch in enumerate(loader):
            draws = torch.Generator(setting.device)
            draws.manual_seed(seeding.seed("views", 1, epoch, number))
            sent = batch.to(setting.device, non_blocking=True)
            first, second = (
                draw_views(sent, AUGMENT, setting.size, draws).contiguous(memory_format=torch.channels_last)
                for _ in range(2)
            )
            yield first, second


def lightlys(images: NDArray[np.uint8], setting: Setting) -> Iterator[Views]:
    """Views without end as lightly makes them: its transform of PIL images, in processes."""
    loader = DataLoader(
        _Pictures(images, SimCLRTransform(input_size=setting.size, **AUGMENT.model_dump())),
        batch_size=setting.batch,
        shuffle=True,
        drop_last=True,
        num_workers=setting.threads,
        persistent_workers=True,
        pin_memory=setting.device.type == "cuda",
    )
    while True:
        for views in loader:
            first, second = (
                view.to(setting.device, memory_format=torch.channels_last, non_blocking=True)
                for view in views
            )
            yield first, second


class _Pictures(Dataset[list[Tensor]]):
    """Images as the data sets of torchvision hold them, each transformed when it is asked for."""

    def __init__(self, images: NDArray[np.uint8], transform: Callable[[Image.Image], Any]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> list[Tensor]:
        views: list[Tensor] = self.transform(Image.fromarray(self.images[number]))
        return views


def _images(setting: Setting) -> NDArray[np.uint8]:
    shape = (setting.images, setting.size, setting.size, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)
