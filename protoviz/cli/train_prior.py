"""The command `train-prior`: train the image prior `natural`, or measure the spectrum of `maco`."""

from argparse import Namespace
from pathlib import Path
from typing import Any

from protoviz.errors import StudyError

SIZE, LEAST = 168, 32  # px, of the squares whose spectrum is measured


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "train-prior",
        help="learn the image prior `natural`, or measure the spectrum of `maco`, from photographs",
    )
    parser.set_defaults(run=train_prior)
    parser.add_argument("photographs", metavar="FOLDER|TAR", help="of images, in folders or not")
    parser.add_argument("--out", metavar="FILE", required=True, help="for the weights")
    parser.add_argument("--prior", choices=("natural", "maco"), default="natural", help="(default: natural)")
    parser.add_argument(
        "--size", type=int, help="px, to which photographs are brought, for maco (default: 168)"
    )
    parser.add_argument("--steps", type=int, help="before those with an adversary (default: 2500)")
    parser.add_argument("--seed", type=int, help="of all random numbers (default: 0)")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1, ...")
    parser.add_argument("--threads", type=int, default=1, help="(default: 1)")


def train_prior(arguments: Namespace) -> None:
    """Train, or measure, and write the file.

    Raises:
        StudyError: see `photographs.read`, `natural.train` and `spectrum.measured`; or a setting is wrong, or
            does not belong to this prior.
    """
    learnt = arguments.prior == "natural"
    others = ("size",) if learnt else ("steps", "seed")
    for name in others:
        if getattr(arguments, name) is not None:
            raise StudyError(
                f"--{name}",
                expected=f"an option of prior {arguments.prior}",
                found=f"one of prior {'maco' if learnt else 'natural'}",
                remedy="leave it out",
            )
    (_learn if learnt else _measure)(arguments)


def _measure(arguments: Namespace) -> None:
    """Write the mean spectrum of photographs."""
    from protoviz import compute, files
    from protoviz.data import photographs
    from protoviz.models.priors import spectrum

    out, size = Path(arguments.out), arguments.size or SIZE
    if size < LEAST:
        raise StudyError("--size", expected=f"at least {LEAST} px", found=str(size), remedy="choose another")
    compute.prepare("cpu", arguments.threads)
    images = photographs.read(arguments.photographs, size)
    spectrum.save(out, spectrum.measured(images), {"photographs": len(images), "size": size})
    print(f"{out}: {out.stat().st_size / 1e3:.1f} kB, SHA-256 {files.sha256(out)}")


def _learn(arguments: Namespace) -> None:
    """Train; write the weights and, while it lasts, the state of the training; print losses.

    A training that was stopped is resumed when the same command is given again.
    """
    from protoviz import compute, files
    from protoviz.cli.networks import print_table
    from protoviz.config import natural_prior as settings
    from protoviz.data import photographs
    from protoviz.learning import natural
    from protoviz.models.priors.natural import save

    out = Path(arguments.out)
    state = out.with_name(f"{out.name}.state")
    changes = {name: value for name in ("steps", "seed") if (value := getattr(arguments, name)) is not None}
    recipe = settings.natural_prior(changes)
    device = compute.prepare(arguments.device, arguments.threads)
    images = photographs.read(arguments.photographs, recipe.photograph_size)
    decoder, history, unseen = natural.train(images, recipe, device, state)
    about = {"settings": recipe.model_dump(mode="json"), "photographs": len(images), "held out": unseen}
    save(out, decoder, about)
    files.remove(state)
    rows = [tuple(f"{row[name]:.4g}" for name in natural.LOSSES) for row in history]
    print_table(natural.LOSSES, rows[:: max(1, len(rows) // 20)])
    print(f"on photographs that were held out: {unseen['pixel_loss']:.4f}, {unseen['feature_loss']:.4f}")
    print(f"{out}: {out.stat().st_size / 1e6:.1f} MB, SHA-256 {files.sha256(out)}")
