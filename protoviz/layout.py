"""Where every artefact lies, relative to the top of the repository; no other module spells a path."""

from pathlib import Path

PARAMS = Path("params.yaml")
PRESETS = Path("presets")
PIPELINE = Path("dvc.yaml")
RECORD = Path("dvc.lock")
LOCK_FILE = Path("requirements.lock")
SCRATCH = Path(".scratch")  # finished pieces of stages that were interrupted

DATA = Path("data")
IMAGES = DATA / "images"
REFERENCE_ENCODER = DATA / "reference" / "encoder.safetensors"
GENERATOR = DATA / "generator" / "generator.safetensors"
PRIOR = DATA / "generator" / "prior.json"
CUBE = DATA / "cube.zarr"

FIGURES = Path("figures")

METRICS = Path("metrics")
FINDINGS = METRICS / "findings.json"
CURVES = METRICS / "curves"
GENERATOR_CURVE = METRICS / "generator.csv"


def item(condition: str, run: int) -> str:
    """The name of one network in files and stages: "clrjit-1"."""
    return f"{condition}-{run}"


def checkpoints(condition: str, run: int) -> Path:
    """The folder with one file for every kept epoch."""
    return DATA / "checkpoints" / item(condition, run)


def prototypes(condition: str, run: int) -> Path:
    """The store of the prototypes of one network: the cube with condition and run of extent one."""
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


def ageing(condition: str, run: int) -> Path:
    """The store of what one network, at every kept epoch, makes of the prototypes of all of them."""
    return DATA / "ageing" / f"{item(condition, run)}.zarr"


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
