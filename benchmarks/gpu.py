"""What a GPU does with the networks and priors of the full study, in at most six minutes, in one table.

    python -m benchmarks.gpu [--parts a,b,c,d] [--device cuda|cpu] [--miniature]

It needs torch, torchvision, numpy, xarray, zarr, pydantic, ruamel.yaml, safetensors and timm; for part b and
the last line of part d lightly as well. All weights but those of the prior `natural` are random.
"""

import argparse
import importlib.util
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

import torch

from benchmarks import evidence, gpu_agreement, gpu_prototypes, rates
from benchmarks.parts import Budget, Part, Row, Setting
from protoviz import compute, machine
from protoviz.errors import StudyError

PACKAGES = ("torch", "torchvision", "numpy", "xarray", "zarr", "timm")
COLUMNS = ("part", "what", "result", "how")
SMALL_SIDE = 64  # of the matrices whose product a miniature times
SMALL_SECONDS = 1.0  # of each of its parts


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the parts, print the table; exit with an error if a part failed."""
    options = _parser().parse_args(arguments)
    try:
        device = compute.available(options.device)
    except StudyError as error:
        sys.exit(str(error))
    setting = (Setting.miniature if options.miniature else Setting)(device, options.threads)
    torch.set_num_threads(options.threads)
    compute.repeatable(device)  # as the stages of the pipeline compute
    seconds = SMALL_SECONDS if options.miniature and options.seconds is None else options.seconds
    before = evidence.load()
    matrix = rates.matrix_rates(device, *((SMALL_SIDE, 0.0) if options.miniature else ()))
    rows, failed = [], []
    known = parts(matrix)
    for letter in options.parts:
        part = known[letter]
        budget = Budget(part.seconds if seconds is None else seconds)
        try:
            for row in part.run(setting, budget):
                print(" | ".join((row.part, row.what, row.result, row.how)), file=sys.stderr, flush=True)
                rows.append(row)
        except Exception as error:  # the other parts are worth their time all the same
            traceback.print_exc()
            failed.append(letter)
            rows.append(Row(letter, part.title, f"**failed**: {type(error).__name__}", _first_line(error)))
    chosen = {letter: known[letter] for letter in options.parts}
    facts = _facts(setting, matrix, chosen, seconds)
    facts["load before; after"] = f"{before}; {evidence.load()}"
    lines = [[row.part, row.what, row.result, row.how] for row in rows]
    print(f"## A GPU\n\n{evidence.header(facts)}\n\n{evidence.markdown(COLUMNS, lines)}", flush=True)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def parts(matrix: Mapping[str, float]) -> dict[str, Part]:
    """The parts by their letters.

    Args:
        matrix: type -> measured operations per second of matrix products.
    """
    return {
        "a": Part("prototypes a second", 150.0, partial(gpu_prototypes.a_second, matrix=matrix)),
        "b": Part("images a second of SimCLR", 70.0, _with_lightly(_images_a_second)),
        "c": Part("agreement with the CPU", 40.0, gpu_agreement.agreement),
        "d": Part("the same bytes twice", 30.0, _twice),
    }


def _images_a_second(setting: Setting, budget: Budget) -> Iterator[Row]:
    from benchmarks import gpu_training  # here, as it needs lightly

    yield from gpu_training.images_a_second(setting, budget)


def _twice(setting: Setting, budget: Budget) -> Iterator[Row]:
    yield from gpu_agreement.twice(setting, budget)

    def trained(setting: Setting, _budget: Budget) -> Iterator[Row]:
        from benchmarks import gpu_training

        yield gpu_training.twice(setting)

    yield from _with_lightly(trained, "d")(setting, budget)


def _with_lightly(
    run: Callable[[Setting, Budget], Iterator[Row]], letter: str = "b"
) -> Callable[[Setting, Budget], Iterator[Row]]:
    """What runs where lightly is installed, and elsewhere says that it is not."""

    def guarded(setting: Setting, budget: Budget) -> Iterator[Row]:
        if importlib.util.find_spec("lightly") is None:
            yield Row(letter, "SimCLR", "left out", "lightly is not installed")
            return
        yield from run(setting, budget)

    return guarded


def _facts(
    setting: Setting, matrix: Mapping[str, float], chosen: Mapping[str, Part], seconds: float | None
) -> dict[str, str]:
    """The evidence above the table."""
    on_gpu = setting.device.type == "cuda"
    name = torch.cuda.get_device_name(setting.device) if on_gpu else ""
    found = [package for package in (*PACKAGES, "lightly") if importlib.util.find_spec(package)]
    facts = evidence.surroundings(rates.Rates(name, dict(matrix), {}, {}), setting.threads, found)
    facts["threads"] = f"{setting.threads}, of the processor"
    if on_gpu:
        size = torch.cuda.get_device_properties(setting.device).total_memory / 2**30
        facts["CUDA"] = f"{torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}, {size:.0f} GiB"
    given = ", ".join(
        f"{letter} {part.seconds if seconds is None else seconds:.0f}" for letter, part in chosen.items()
    )
    sizes = f"ResNet18 of width {setting.width} at {setting.size} px, random weights"
    return {
        "study": sizes + (", a miniature" if setting.small else ""),
        **facts,
        "seconds of the parts": given,
    }


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200].replace("|", "/")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__.split("\n")[0])
    parser.add_argument("--parts", type=_letters, default=[*parts({})], help="such as a,c (default: all)")
    parser.add_argument("--device", default="cuda", help="cuda (default) or cpu")
    parser.add_argument("--miniature", action="store_true", help="small networks, few steps: does it all run")
    parser.add_argument("--seconds", type=float, help="of each part, in place of its own")
    cores = machine.cores()
    parser.add_argument("--threads", type=int, default=cores, help=f"of the processor (default: {cores})")
    return parser


def _letters(text: str) -> list[str]:
    letters = text.split(",")
    if unknown := [letter for letter in letters if letter not in parts({})]:
        raise argparse.ArgumentTypeError(f"no part {unknown[0]!r}: there are {', '.join(parts({}))}")
    return letters


if __name__ == "__main__":
    main()
