"""The command `init`: plan a study of existing checkpoints from the files that are there."""

import os
import re
import time
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from protoviz.errors import StudyError

if TYPE_CHECKING:
    from protoviz.config.image_size import Size
    from protoviz.config.synthesis import Synthesis
    from protoviz.models.readout.network import Network
    from protoviz.models.zoo import Model

ALONE = "network"  # the name of the one condition of a pattern without {condition}
_PHOTOGRAPHS = {"train": 2000, "test": 1000}  # at most; for the probe and the responses
_CHANNELS = 16  # of each layer, unless told otherwise
_BYTES = 1.1  # of a stored prototype for each px of the image, measured on the default study
_TRIED = 8, 2, 6  # units, and the steps of the two trials from which the time is estimated


@dataclass(frozen=True)
class _Plan:
    """The networks, epochs and layers that were found, and how much work they are."""

    networks: int
    epochs: list[int]
    layers: dict[str, int]
    repeats: int
    size: "Size"
    seconds: float

    def __str__(self) -> str:
        from protoviz.config.image_size import named, sides

        units = sum(self.layers.values())
        height, width = sides(self.size)
        count = units * self.networks * len(self.epochs) * self.repeats
        layers = ", ".join(f"{layer} {channels}" for layer, channels in self.layers.items())
        return (
            f"epochs      {len(self.epochs)}: {_listed(self.epochs)}\n"
            f"layers      {len(self.layers)}: {layers}\n"
            f"units       {units:,}, the same at each epoch\n"
            f"prototypes  {count:,} of {named(self.size)}, "
            f"about {count * height * width * _BYTES / 1e6:,.1f} MB\n"
            f"time        about {_duration(self.seconds * count)} of one core for their synthesis"
        )


def init(arguments: Namespace) -> None:
    """Look at the checkpoints, write the study, and say what it will do.

    Only the first checkpoint is loaded.

    Raises:
        StudyError: no checkpoint fits the pattern, networks have different epochs, the weights are not those
            of the network, something that is needed is not known, or there is a study already.
    """
    from protoviz.cli.networks import keywords
    from protoviz.config import studies, synthesis
    from protoviz.config.image_size import checked
    from protoviz.config.series import Series, SeriesStudy
    from protoviz.models import beginnings, series, zoo
    from protoviz.models.readout.network import Network
    from protoviz.pipeline import default_params, new_study
    from protoviz.synthesis import analysed, importing

    folder = Path(arguments.folder)
    found = series.files(arguments.checkpoints)
    epochs = series.common_epochs(found, arguments.epochs)
    names = {_slug(condition): condition for condition, _ in found}
    if len(names) < len({condition for condition, _ in found}):
        raise StudyError(
            arguments.checkpoints,
            expected="conditions whose names differ in letters and digits",
            found=", ".join(sorted({condition for condition, _ in found})),
            remedy="rename one of them",
        )
    runs = sorted({run for _, run in found})
    _require_whole(found, [*names.values()], runs)

    built = zoo.load(arguments.model, arguments=keywords(arguments.arg))
    size = arguments.size or built.size
    mean, std = _colours(arguments, built)
    changes = {"repeats": 2, "levels": 64, "keep_latents": arguments.prior not in synthesis.LARGE}
    recipe = synthesis.changed(synthesis.suited(arguments.prior), changes)
    untrained = arguments.untrained
    if epochs[0] == 0:
        untrained, word = beginnings.starts_untrained([one[0] for one in found.values()], given=untrained)
        print(f"epoch 0     {word}")
    about: dict[str, Any] = {
        "network": _seen_from(folder, arguments.model),
        "arguments": keywords(arguments.arg),
        "files": _relative(folder, arguments.checkpoints),
        "key": arguments.key,
        "prefix": arguments.prefix,
        "epochs": epochs,
        "starts_untrained": untrained,
        "layers": [],
        "channels": arguments.channels or _CHANNELS,
        "size": size if isinstance(size, int) else list(size),
        "mean": mean,
        "std": std,
    }
    network = Network(built.module, checked(size), mean, std)
    about["layers"] = arguments.layers or analysed.blocks(network, built.module)
    first = next(iter(found.values()))[epochs[0]]
    asked = Series.model_validate({**about, "network": arguments.model})
    print(f"{first}: {importing.Importer(asked, built.module, network)(first)[1]}")
    chosen = analysed.chosen(network, about["layers"], about["channels"])
    conditions = {slug: {} if slug == name else {"name": name} for slug, name in names.items()}
    params = default_params.of(
        recipe,
        title=arguments.title or f"{arguments.model} along its training",
        checkpoints=about,
        conditions=conditions,
        runs=runs,
        images=_images(folder, arguments.images, size),
        prior=arguments.prior,
    )
    assert isinstance(studies.parse(params, "the new study"), SeriesStudy)
    sources = {
        (slug, run): [Path(_relative(folder, str(found[name, run][epoch]))) for epoch in epochs]
        for slug, name in names.items()
        for run in runs
    }
    layers = {layer: len(channels) for layer, channels in chosen.items() if not isinstance(channels, int)}
    print(f"conditions  {len(names)}: {', '.join(names)}\nruns        {len(runs)}: {_listed(runs)}")
    seconds = _seconds(network, chosen, recipe, arguments.prior)
    print(_Plan(len(sources), epochs, layers, recipe.repeats, size, seconds))
    new_study.write(folder, params, sources)
    print(f"\n{folder / 'params.yaml'} says all of this. Next:\n\n    cd {folder}\n    protoviz repro")


def update(arguments: Namespace) -> None:
    """The command `update`: add new epochs to the study in this folder.

    Raises:
        StudyError: there is no study of checkpoints here, its files are listed one by one, or a network lacks
            an epoch that others have.
    """
    from protoviz.models import series
    from protoviz.pipeline import new_epochs

    study = new_epochs.study(Path())
    pattern = study.checkpoints.files
    if not isinstance(pattern, str):
        raise StudyError(
            "checkpoints.files",
            expected="a pattern with {epoch}",
            found="a list of files",
            remedy="add to the list, and to checkpoints.epochs, by hand",
        )
    every = series.files(pattern)
    found = {
        (condition, run): every.get(series.item(pattern, study.named(condition), run), {})
        for condition in study.conditions
        for run in study.runs
    }
    epochs = series.common_epochs(found, arguments.epochs)
    new_epochs.write(Path(), epochs, found)
    print(f"epochs  {len(study.epochs)} -> {len(epochs)}: {_listed(epochs)}\n\nNext:\n\n    protoviz repro")


def _colours(arguments: Namespace, built: "Model") -> tuple[list[float], list[float]]:
    """Mean and standard deviation: the given ones, the network's own, or ImageNet's for torchvision's."""
    from protoviz.models.resnet import IMAGENET_MEAN, IMAGENET_STD

    if arguments.mean and arguments.std:
        return arguments.mean, arguments.std
    if built.mean and built.std:
        return [float(one) for one in built.mean], [float(one) for one in built.std]
    if arguments.model.startswith("torchvision:"):
        return list(IMAGENET_MEAN), list(IMAGENET_STD)
    raise StudyError(
        f"model {arguments.model!r}",
        expected="to know how its images were normalised",
        found="nothing that says so",
        remedy="give --mean and --std of the values in [0, 1], such as --mean 0.485 0.456 0.406 "
        "--std 0.229 0.224 0.225; or --mean 0 0 0 --std 1 1 1 if they were not",
    )


def _require_whole(
    found: dict[tuple[str, int], dict[int, Path]], conditions: list[str], runs: list[int]
) -> None:
    """Check that every condition has every run.

    Raises:
        StudyError: one does not; the message names the first.
    """
    for condition in conditions:
        for run in runs:
            if (condition, run) not in found:
                raise StudyError(
                    f"checkpoints of {condition} run {run}",
                    expected=f"files, as other conditions have run {run}",
                    found="none",
                    remedy="write a pattern that leaves this run out",
                )


def _images(folder: Path, given: str | None, size: "Size") -> dict[str, Any] | None:
    """The section `images` for a folder of photographs, with at most a few thousand of them."""
    from protoviz.data import folder as photographs

    if given is None:
        return None
    found = photographs.read(given, 0)
    return {
        "source": "folder",
        "path": _relative(folder, given),
        "size": size,
        "seed": 0,
        "unlabeled": 1,
        "reference": 0,
        "train": min(len(found.train_labels), _PHOTOGRAPHS["train"]),
        "test": min(len(found.test_labels), _PHOTOGRAPHS["test"]),
    }


def _seconds(network: "Network", chosen: Any, recipe: "Synthesis", prior: str) -> float:
    """Seconds that one prototype takes, from a few steps for a few units of the last layer."""
    import torch

    from protoviz.models.priors import base
    from protoviz.store import cube
    from protoviz.synthesis.search import prototypes

    units, *lengths = _TRIED
    layer = list(chosen)[-1]
    some = {layer: list(chosen[layer])[:units]}
    made = base.load(prior, size=network.size, channels=network.channels)

    def timed(steps: int) -> float:
        short = recipe.model_copy(update={"ascent": recipe.ascent.model_copy(update={"steps": steps})})
        address, device = cube.Address("trial", 0, 0, 0), torch.device("cpu")
        started = time.perf_counter()
        prototypes(network, some, made, short, address=address, device=device)
        return time.perf_counter() - started

    timed(1)  # prepares the graph
    few, more = (timed(steps) for steps in lengths)
    step = max(more - few, 0.0) / (lengths[1] - lengths[0])
    return (few + step * (recipe.ascent.steps - lengths[0])) / len(some[layer])


def _seen_from(folder: Path, model: str) -> str:
    """A model's name as it is written in the study's folder: paths of code files are relative to it."""
    home, _, called = model.rpartition(":")
    return f"{_relative(folder, home)}:{called}" if home.endswith(".py") else model


def _relative(folder: Path, path: str) -> str:
    return path if Path(path).is_absolute() else os.path.relpath(path, folder)


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9_]+", "_", name.lower()).strip("_") or ALONE


def _listed(numbers: list[int]) -> str:
    shown = [str(number) for number in numbers]
    return ", ".join(shown if len(shown) <= 8 else [*shown[:4], "...", *shown[-3:]])


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
