"""The engine of this project: preset paper, preset fast, fast for longer, and the Fourier basis."""

from collections import Counter
from collections.abc import Callable

from benchmarks.jobs import Job, Made
from protoviz.config.synthesis import PRESETS, Synthesis, Transforms
from protoviz.models.priors import fourier as fourier_basis
from protoviz.models.priors.base import ImagePrior
from protoviz.models.readout.network import Network
from protoviz.synthesis.search import prototypes

# About what `lucent_style` does to its images.
LIKE_LUCENT = Transforms(jitter=5, scale=(0.9, 1.1), rotation=10)
GRADIENT_COST = 3
WARM_POOL = 128
MOST = 20.0  # times as many steps, in `longer`


def preset(name: str) -> Callable[[Job], Made]:
    """A method that runs a preset as it is."""

    def run(job: Job) -> Made:
        return _run(job, PRESETS[name], job.subject.prior)

    return run


def unpooled(job: Job) -> Made:
    """The preset fast, but every unit starts from a latent of its own: what the shared pool does."""
    fast = PRESETS["fast"]
    start = fast.start.model_copy(update={"pool": 0})
    return _run(job, fast.model_copy(update={"start": start}), job.subject.prior)


def longer(job: Job) -> Made:
    """The preset fast with `job.stretch` times as many steps of ascent."""
    fast = PRESETS["fast"]
    return _run(job, _with_steps(fast, round(fast.ascent.steps * job.stretch)), job.subject.prior)


def fourier(job: Job) -> Made:
    """The preset fourier with the transforms of lucent, at `job.steps` steps."""
    recipe = _with_steps(PRESETS["fourier"], job.steps).model_copy(update={"transforms": LIKE_LUCENT})
    return _run(job, recipe, fourier_basis.Fourier(job.subject.size).to(job.subject.device))


def stretch_to(slower: float, forward: float, gradient: float) -> float:
    """How many times the steps of the preset fast are predicted to take `slower` times as long as it did.

    Forward and backward count as three times forward alone; the pool is scored once in both.

    Args:
        slower: the time to fill, in units of that of the preset.
        forward: images that the preset sent through the network forward only.
        gradient: images that it sent there and back.

    Returns:
        Between 1 and `MOST`.
    """
    times = (slower * (forward + GRADIENT_COST * gradient) - forward) / (GRADIENT_COST * gradient)
    return min(MOST, max(1.0, times))


def evaluations(
    recipe: Synthesis, units: dict[str, list[int]]
) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Images that go forward, and there and back, by layer: what the recipe's numbers say.

    The pool goes through the network once for all units, up to the deepest layer: the third count, which
    is part of the first. Attempts at waking silent units come on top.
    """
    once = Counter({list(units)[-1]: recipe.start.pool})
    forward, gradient = Counter(once), Counter[str]()
    evolution = recipe.evolution
    evolved = evolution.strategy != "none" and evolution.only == "all"
    for layer, channels in units.items():
        if evolved:
            forward[layer] += evolution.generations * evolution.samples * len(channels)
        gradient[layer] += recipe.ascent.steps * len(channels)
        forward[layer] += 2 * len(channels)  # after the last step, and of the quantised image
    return forward, gradient, once


def _run(job: Job, recipe: Synthesis, prior: ImagePrior) -> Made:
    subject, units = job.subject, job.units
    condition, run, epoch = subject.address
    if job.extent == "warm":
        recipe = _next_to_nothing(recipe)
    elif job.extent == "once":
        recipe = _without_search(recipe)
        units = {layer: channels[:1] for layer, channels in units.items()}
    # From the plain network on, as a stage of the pipeline does it for every checkpoint.
    shard = prototypes(
        Network(subject.network, subject.size),
        units,
        prior,
        recipe,
        address=(condition, run, job.repeat, epoch),
        device=subject.device,
        layers_at_once=job.layers_at_once,
    )
    return Made(shard.image, shard.latent, *evaluations(recipe, units))


def _next_to_nothing(recipe: Synthesis) -> Synthesis:
    """The same with a small pool and a step, in batches of the same size."""
    start = recipe.start.model_copy(update={"pool": min(recipe.start.pool, WARM_POOL)})
    evolution = recipe.evolution.model_copy(update={"generations": 1, "samples": 2, "parents": 1})
    return _with_steps(recipe.model_copy(update={"start": start, "evolution": evolution}), 1)


def _without_search(recipe: Synthesis) -> Synthesis:
    """The start alone."""
    evolution = recipe.evolution.model_copy(update={"strategy": "none"})
    return _with_steps(recipe.model_copy(update={"evolution": evolution, "rescue": 0}), 0)


def _with_steps(recipe: Synthesis, steps: int) -> Synthesis:
    return recipe.model_copy(update={"ascent": recipe.ascent.model_copy(update={"steps": steps})})
