"""Where every artefact lies, relative to the top of the repository; no other module spells a path."""

from pathlib import Path

PARAMS = Path("params.yaml")
PRESETS = Path("presets")
PIPELINE = Path("dvc.yaml")
LOCK_FILE = Path("requirements.lock")
SCRATCH = Path(".scratch")  # finished pieces of stages that were interrupted

DATA = Path("data")
ATLAS = DATA / "atlas"
IMAGES = DATA / "images"
REFERENCE = DATA / "reference"
REFERENCE_ENCODER = REFERENCE / "encoder.safetensors"
REFERENCE_DIGEST = REFERENCE / "encoder.json"
GENERATOR = DATA / "generator" / "generator.safetensors"
SPECTRUM = DATA / "generator" / "spectrum.safetensors"
PRIOR = DATA / "generator" / "prior.json"
CUBE = DATA / "cube.zarr"
MATCHING = DATA / "matching.zarr"
PUBLISHED = Path("published")  # the remote that is a folder of the repository
DOMAIN = DATA / "domain"
STAGES_CUBE = DATA / "stages_cube.zarr"

FIGURES = Path("figures")
FIGURES_STAGES = Path("figures_stages")
CARD = Path("DATASET.md")

METRICS = Path("metrics")
FINDINGS = METRICS / "findings.json"
CURVES = METRICS / "curves"
GENERATOR_CURVE = METRICS / "generator.csv"
STAGES_TRAINING = METRICS / "stages_training.json"
STAGES_METRICS = METRICS / "stages.json"
STAGES_FINDINGS = METRICS / "findings_stages.json"


def item(condition: str, run: int) -> str:
    """The name of one network in files and stages: "clrjit-1"."""
    return f"{condition}-{run}"


def checkpoints(condition: str, run: int) -> Path:
    """The folder with one file for every kept epoch."""
    return DATA / "checkpoints" / item(condition, run)


def checkpoint(epoch: int) -> str:
    """The name of the file of an epoch in that folder."""
    return f"epoch_{epoch:04d}.safetensors"


def prototypes(condition: str, run: int) -> Path:
    """The store of the prototypes of one network: the cube with condition and run of extent one.

    >>> prototypes("clrjit", 1).as_posix()
    'data/prototypes/clrjit-1.zarr'
    """
    return DATA / "prototypes" / f"{item(condition, run)}.zarr"


def receptive_fields(condition: str, run: int) -> Path:
    """The store of the receptive fields of one network."""
    return DATA / "receptive_fields" / f"{item(condition, run)}.zarr"


def distances(condition: str, run: int) -> Path:
    """The store of the distances between the prototypes of one network."""
    return DATA / "distances" / f"{item(condition, run)}.zarr"


def natural(condition: str, run: int) -> Path:
    """The store of what the units of one network respond to among natural images."""
    return DATA / "natural" / f"{item(condition, run)}.zarr"


def modes(condition: str, run: int) -> Path:
    """The store of how many images drive each unit of one network."""
    return DATA / "modes" / f"{item(condition, run)}.zarr"


def appearance(condition: str, run: int) -> Path:
    """The store of how the prototypes of one network look, in numbers."""
    return DATA / "appearance" / f"{item(condition, run)}.zarr"


def units(condition: str, run: int) -> Path:
    """The store of when the units of one network settle."""
    return DATA / "units" / f"{item(condition, run)}.zarr"


def training_curve(condition: str, run: int) -> Path:
    """The loss after every epoch, as CSV."""
    return METRICS / "training" / f"{item(condition, run)}.csv"


def probe_metrics(condition: str, run: int) -> Path:
    """The final accuracies of the read-outs, as JSON."""
    return METRICS / "probe" / f"{item(condition, run)}.json"


def probe_curve(condition: str, run: int) -> Path:
    """The accuracies of the read-outs at every kept epoch, as CSV."""
    return METRICS / "probe" / f"{item(condition, run)}.csv"


def metrics(condition: str) -> Path:
    """The measures of one condition, as JSON."""
    return METRICS / f"{condition}.json"


STAGES_CONDITION = "finetuning"  # what study B calls itself where study A has the name of a condition


def stages_checkpoints(run: int) -> Path:
    """The folder with the network of study B at each training state."""
    return checkpoints(STAGES_CONDITION, run)


def stage_checkpoint(state: str) -> str:
    """The name of the file of a training state in that folder."""
    return f"{state}.safetensors"


def projection(study: str) -> Path:
    """The store of the maps of a study: "study" (A) or "stages" (B)."""
    return DATA / "projection" / f"{study}.zarr"
