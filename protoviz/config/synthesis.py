"""How a prototype is made: objective, start, evolution, transforms, ascent; and the presets.

A preset is nothing but numbers: every recipe runs through the same code.

    paper       what the authors' code ran (S3, S4)
    as-written  what their text says
    fast        what `paper` finds, at a fraction of its cost. A unit begins at the mean of the eight latents
                of a pool that drive it most, and may climb to the length at which `paper` ends, 3.6 times
                the usual one: it sets the contrast of the images, and so the distances between them
    natural     softer images, nearer to what the prior makes, of latents at most twice as long as usual
    gentle      more and smaller steps than `natural`, in a smaller ball: for the prior `natural`, which burns
                out beyond twice the usual length
    fourier     for images that no network has learnt to make (Q3, Q4)
    maco        for phases, of the prior `maco`: crops and noise at every step
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from protoviz.config.section import Count, Natural, Positive, Section
from protoviz.config.validation_errors import explained, invalid
from protoviz.registry import lookup


class Objective(Section):
    """What is maximised: the response of a channel, where in its map, before or after its non-linearity.

    `centre` is the paper's ((H-1)//2, (W-1)//2); `image_centre` the position whose receptive field lies
    nearest to the middle of the image; `mean` the mean over the map; or a row and a column (a token).
    """

    position: (
        Literal["centre", "image_centre", "mean"]
        | Annotated[tuple[Natural, ...], Field(strict=False, min_length=1, max_length=2)]
    )
    activation: Literal["pre", "post"]


class Start(Section):
    """Where a search begins: the best `top` of a shared `pool` of random latents, recombined.

    A pool of 0: every unit draws a latent of its own. Latents are drawn from N(0, sigma^2 I).
    """

    pool: Natural
    top: Count
    sigma: Positive

    @model_validator(mode="after")
    def _top_fits_pool(self) -> Self:
        if self.pool and self.top > self.pool:
            raise invalid(f"at most pool, {self.pool}", str(self.top), at="top")
        return self


class Evolution(Section):
    """A search without gradients before the ascent, for `all` units or the `silent` ones, which have none."""

    strategy: Literal["none", "fixed_sigma", "cma", "sep_cma", "vd_cma"]
    generations: Count
    samples: Annotated[int, Field(ge=2)]
    parents: Count | None  # null: the strategy's own, half of the samples
    sigma: Positive
    only: Literal["all", "silent"]

    @model_validator(mode="after")
    def _parents_are_samples(self) -> Self:
        if self.parents is not None and self.parents > self.samples:
            raise invalid(f"at most samples, {self.samples}", str(self.parents), at="parents")
        return self


Share = Annotated[float, Field(gt=0, le=1)]


class Transforms(Section):
    """Random changes of the image at every step, drawn independently for each image (Q4).

    `crop`: what is seen at a step, as a share of the image's sides, at a random place within it and enlarged
    to the whole; [1, 1]: all of it. `noise`: the deviation of what is added to each value in [0, 1]; 0: none.
    """

    jitter: Annotated[float, Field(ge=0)]  # px, in either direction
    scale: Annotated[tuple[Positive, Positive], Field(strict=False)]
    rotation: Annotated[float, Field(ge=0, le=180)]  # degrees, in either direction
    crop: Annotated[tuple[Share, Share], Field(strict=False)] = (1, 1)
    noise: Annotated[float, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _scale_ascends(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise invalid("two numbers in ascending order", str(list(self.scale)), at="scale")
        if self.crop[0] > self.crop[1]:
            raise invalid("two numbers in ascending order", str(list(self.crop)), at="crop")
        return self

    @property
    def active(self) -> bool:
        """Whether they change anything."""
        moved = self.jitter or self.rotation or self.noise
        return bool(moved or self.scale != (1, 1) or self.crop != (1, 1))


class Ascent(Section):
    """Adam on the latent, within a ball of `longest` times the usual length of the prior's latents.

    `damping`: a share of a unit's greatest gradient below which components move less; 0: Adam as it is.
    """

    steps: Natural
    lr: Positive
    longest: Annotated[float, Field(gt=1)] | None  # below 1, random latents would be cut; null: no ball
    damping: Annotated[float, Field(ge=0)]


class Synthesis(Section):
    """A recipe.

    `rescue`: how many further attempts a unit gets that its best image leaves silent, or that has found
    nothing better than its start.
    `precision`: of the search; what is stored is always measured in float32. `auto` is bfloat16 where the
    hardware multiplies matrices in it. `batch_size`: units at once; `auto` from the free memory.
    `levels`: of each colour in the stored image, evenly spaced, the activation being that of the image so
    rounded; 256 is all that 8 bits hold. Images do not compress as they are: with 32 levels their files are
    less than half as large.
    `keep_latents`: whether what regenerates the images is stored, too. Of a prior without weights it is as
    large as they are before compression, 10 times as large as their files.
    `keep_transparency`: whether it is stored where each image has been worked on: the gradients of the
    ascent, in absolute value, summed over its steps.
    """

    repeats: Count
    objective: Objective
    start: Start
    evolution: Evolution
    transforms: Transforms
    ascent: Ascent
    rescue: Natural
    precision: Literal["float32", "bfloat16", "auto"]
    batch_size: Count | Literal["auto"]
    levels: Annotated[int, Field(ge=2, le=256)]
    keep_latents: bool
    keep_transparency: bool = False

    def recorded(self) -> dict[str, Any]:
        """The recipe as JSON values for a store: without what is off, so older recipes read as before."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def trace_length(self) -> int:
        """Values in an activation trace: at the start of the ascent and after every step."""
        return self.ascent.steps + 1


_STILL = Transforms(jitter=0, scale=(1, 1), rotation=0)
_NO_EVOLUTION = Evolution(strategy="none", generations=20, samples=30, parents=15, sigma=2.0, only="silent")

_FAST = Synthesis(
    repeats=2,
    objective=Objective(position="centre", activation="pre"),
    start=Start(pool=2048, top=8, sigma=3.0),
    evolution=_NO_EVOLUTION,
    transforms=_STILL,
    ascent=Ascent(steps=32, lr=0.3, longest=3.6, damping=0.0),
    rescue=1,
    precision="auto",
    batch_size="auto",
    levels=256,
    keep_latents=True,
)
_PAPER = Synthesis(
    repeats=2,
    objective=Objective(position="centre", activation="post"),
    start=Start(pool=0, top=1, sigma=1.0),
    evolution=Evolution(
        strategy="fixed_sigma", generations=20, samples=30, parents=15, sigma=2.0, only="all"
    ),
    transforms=_STILL,
    ascent=Ascent(steps=50, lr=0.01, longest=None, damping=0.0),
    rescue=0,
    precision="float32",
    batch_size="auto",
    levels=256,
    keep_latents=True,
)

PRESETS: dict[str, Synthesis] = {
    "fast": _FAST,
    "natural": _FAST.model_copy(
        update={
            "start": Start(pool=2048, top=1, sigma=1.0),
            "ascent": Ascent(steps=20, lr=0.2, longest=2.0, damping=0.0),
        }
    ),
    "gentle": _FAST.model_copy(
        update={
            "start": Start(pool=2048, top=1, sigma=1.0),
            "ascent": Ascent(steps=64, lr=0.1, longest=1.5, damping=0.0),
        }
    ),
    "paper": _PAPER,
    "as-written": _PAPER.model_copy(
        update={
            # "10s of steps" of a true CMA-ES, whose covariance in 4096 dimensions can only be limited
            "evolution": Evolution(
                strategy="vd_cma", generations=50, samples=30, parents=None, sigma=2.0, only="all"
            ),
            "ascent": Ascent(steps=200, lr=0.01, longest=None, damping=0.0),  # "100s of steps"
        }
    ),
    "fourier": _FAST.model_copy(
        update={
            "start": Start(pool=0, top=1, sigma=0.1),
            "transforms": Transforms(jitter=4, scale=(0.9, 1.1), rotation=10),
            "ascent": Ascent(steps=128, lr=0.1, longest=None, damping=0.3),
        }
    ),
    "maco": _FAST.model_copy(
        update={
            "start": Start(pool=0, top=1, sigma=1.0),
            "transforms": Transforms(jitter=0, scale=(1, 1), rotation=0, crop=(0.8, 1.0), noise=0.05),
            "ascent": Ascent(steps=128, lr=0.05, longest=None, damping=0.0),
        }
    ),
}


SUITED = {"natural": "gentle", "generator": "fast", "deepsim": "fast", "maco": "maco"}
"""Image prior -> the preset that suits it; "fourier" suits the others."""

LARGE = ("fourier", "maco", "pixels")
"""Image priors whose latents are as large as their images."""


def suited(prior: str) -> str:
    """The preset that suits an image prior, by its name.

    >>> suited("natural"), suited("pixels")
    ('gentle', 'fourier')
    """
    return SUITED.get(prior, "fourier")


def changed(preset: str, changes: Mapping[str, Any]) -> Synthesis:
    """A preset with changes, checked: `changed("fast", {"ascent": {"steps": 50}, "repeats": 1})`.

    Raises:
        StudyError: no preset has this name, or a change names no setting of a recipe.
    """
    values = lookup(PRESETS, preset, "preset").model_dump()
    for name, value in changes.items():
        inner = isinstance(values.get(name), dict) and isinstance(value, Mapping)
        values[name] = {**values[name], **value} if inner else value
    try:
        return Synthesis.model_validate(values)
    except ValidationError as error:
        raise explained(error, "recipe", Synthesis) from None
