"""The network of study B at its training states: built, given weights, kept and read again.

DVC does not keep its weights, 100 MB a state (.dvcignore names them), as it would store and publish them all;
it keeps their digests. The one DVC stage that reads them, `synthesize_stages`, calls `digests` to check that
they are the recorded ones. A fresh clone does not have them until they are needed, which is when prototypes
are made again.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import nn

from protoviz import files, layout, seeding
from protoviz.config.finetuning import INSTALLED, Pretraining
from protoviz.errors import StudyError
from protoviz.models import download, efficientnet_lite0, importer, safetensors_io

STATES = ("random", "pretrained", "finetuned")  # the names of epoch 0, 1, 2

RECORD = "networks.json"  # state -> SHA-256 of its file of weights; kept by DVC

_KIND = "stage of training"
_TRAIN = "dvc repro --force --single-item train_stages"


@dataclass(frozen=True)
class Identity:
    """What identifies the network of a state.

    Attributes:
        model: its name in timm.
        classes: outputs of its classifier.
        stage: one of `STATES`; the weight files use this name for it.
        seed: of the weights that it started from.
    """

    model: str
    classes: int
    stage: str
    seed: int


def path(directory: str | Path, state: str) -> Path:
    """Where the network of a state lies."""
    return Path(directory) / layout.stage_checkpoint(state)


def initial(model: str, classes: int | None, seed: int) -> nn.Module:
    """A model of timm with the weights that this seed always gives; `classes` None: its default number.

    Raises:
        StudyError: timm has no such model.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.seed("staged network", model, seed))
        return _built(model, classes)


def with_classes(network: nn.Module, classes: int, seed: int) -> None:
    """Replace the classifier of a timm model by a fresh one, whose weights come from this seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeding.seed("classifier", classes, seed))
        network.reset_classifier(classes)  # type: ignore[operator]


def give_weights(network: nn.Module, settings: Pretraining, model: str) -> None:
    """Load into a fresh network, in place, the weights from elsewhere that the second state has.

    Args:
        network: with its original classifier.
        settings: these name the weights.
        model: what the network is called, for errors.

    Raises:
        StudyError: see `fetched`, `efficientnet_lite0.load` and `importer.load`.
    """
    if settings.weights == INSTALLED:
        network.load_state_dict(efficientnet_lite0.load().state_dict())
    else:
        importer.load(network, fetched(settings), model)


def fetched(settings: Pretraining) -> Path:
    """The file of weights from elsewhere, checked against its digest.

    Raises:
        StudyError: it cannot be obtained, or has another digest.
    """
    source = str(settings.weights)
    found = download.local(source)
    digest = files.sha256(found)
    if settings.sha256 is not None and not digest.startswith(settings.sha256):
        raise StudyError(
            source,
            expected=f"SHA-256 {settings.sha256}{'...' if len(settings.sha256) < 64 else ''}",
            found=digest,
            remedy=f"delete {found} and run again, or correct training_stages.pretrain.sha256",
        )
    return found


def save(target: str | Path, network: nn.Module, identity: Identity) -> None:
    """Write a network's weights and identity; the same input gives the same bytes."""
    safetensors_io.write(target, network, _KIND, asdict(identity))


def record(directory: str | Path) -> None:
    """Write down the digests of the networks of all states, once they are saved."""
    files.write_json(
        Path(directory) / RECORD, {state: files.sha256(path(directory, state)) for state in STATES}
    )


def digests(directory: str | Path) -> dict[str, str]:
    """State -> SHA-256 of its weights, after checking that they exist and are the recorded ones.

    Raises:
        StudyError: there is no record, or weights are missing or of another training.
    """
    recorded = dict(files.read_json(Path(directory) / RECORD))
    for state, expected in recorded.items():
        source = path(directory, state)
        found = files.sha256(source) if source.is_file() else None
        if found != expected:
            raise StudyError(
                str(source),
                expected=f"the weights that {RECORD} names, SHA-256 {expected[:16]}...",
                found=f"others, {found[:16]}..." if found else "none, as they are not published",
                remedy=f"train the network again: `{_TRAIN}`, and then run this again",
            )
    return recorded


def load(source: str | Path) -> tuple[nn.Module, Identity]:
    """Read the network of a state, frozen, in evaluation mode.

    Raises:
        StudyError: no such file, a damaged one, or one of another kind.
    """
    tensors, about = safetensors_io.read(source, _KIND, "cpu")
    try:
        identity = Identity(**about)
        with torch.device("meta"):  # draws no weights, as the file replaces them
            network = _built(identity.model, identity.classes)
        network.load_state_dict(tensors, assign=True)
    except (TypeError, RuntimeError) as error:
        raise safetensors_io.unfit(source, _KIND, error) from error
    return network.eval().requires_grad_(False), identity


def _built(model: str, classes: int | None) -> nn.Module:
    import timm

    if model not in timm.list_models():
        raise StudyError(
            f"training_stages.network.model {model!r}",
            expected="a model of timm",
            found="no such name",
            remedy="correct it; timm.list_models() gives the names",
        )
    # timm leaves out what is None.
    built: nn.Module = timm.create_model(model, pretrained=False, num_classes=classes)
    return built
