"""What stands above and below the numbers: when, where, with what; and the table itself, as Markdown."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from benchmarks.comparison import LOW, Row
from benchmarks.rates import Rates
from protoviz import __version__, machine

PACKAGES = ("torch", "cma", "numpy")
FLAGS = ("amx_bf16", "avx512_bf16")
PAPER = 3.37  # prototypes per second on a GPU that is not named (S11)
LEAST_MEDIAN, LEAST_LOW = 1.0, 0.9  # of the ratios of the preset fast


def header(facts: Mapping[str, str]) -> str:
    """A Markdown list of facts."""
    return "\n".join(f"- {name}: {fact}" for name, fact in facts.items())


def surroundings(rates: Rates, threads: int, packages: Sequence[str] = PACKAGES) -> dict[str, str]:
    """When and on what: date, hardware, threads, versions, measured matrix rates, load."""
    flags = _processor("flags").split()
    matrix = ", ".join(f"{name} {rate / 1e9:,.0f} GFLOP/s" for name, rate in rates.matrix.items())
    hardware = {
        "processor": f"{_processor('model name') or platform.processor()}, {machine.cores()} cores; "
        + ", ".join(f"{flag} {'yes' if flag in flags else 'no'}" for flag in FLAGS),
        "GPU": rates.name,
    }
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        **{name: fact for name, fact in hardware.items() if fact},
        "threads": f"{threads}, one process at a time; glibc keeps freed memory, for all methods alike",
        "versions": f"python {platform.python_version()}, protoviz {__version__}, "
        + ", ".join(f"{name} {metadata.version(name)}" for name in packages),
        "large matrix products": f"{matrix}, measured in this run",
        **({"float32 on the GPU": _tf32()} if rates.name else {}),
    }


def _tf32() -> str:
    """What torch, as it is by default, makes of float32."""
    convolutions, products = torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32
    return f"torch's defaults: TF32 in convolutions {convolutions}, in matrix products {products}"


def load() -> str:
    """The load averages of the machine over 1, 5 and 15 minutes."""
    return ", ".join(f"{value:.2f}" for value in os.getloadavg())


def table(rows: Sequence[Row], titles: Mapping[str, str]) -> str:
    """The rows as a Markdown table, one column for the ratios of each layer.

    Args:
        rows: of one study.
        titles: method -> how the table calls it.
    """
    layers = list(rows[0].ratios)
    columns = [
        *("network", "method", "prototypes", "forward", "forward + backward", "s each", "times less time"),
        *("per second", *layers, "dead (woken)", "norm", "memory, MiB (own)", "of bf16 rate"),
    ]
    return markdown(columns, ([*_cells(row, titles, layers)] for row in rows))


def markdown(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def legend(baseline: str) -> str:
    """What the columns of `table` mean, as a Markdown list."""
    meanings = {
        "forward, forward + backward": "images per prototype that went through the network; of ours as its "
        "settings say, without further attempts at dead units",
        "s each": "wall-clock seconds per prototype without loading; what is done once for a network, its "
        "preparation and the pool of ours, is shared among all of its units, measured or not",
        "layers": f"median / {LOW}th percentile of the ratio of a unit's activation to that under "
        f"{baseline}, where that is above zero; activation: what of the response to the final image, "
        "quantised to 8 bits, lies above zero, measured once in float32 with the plain network",
        "dead (woken)": f"units without an activation, and those dead under {baseline} that have one here",
        "norm": "median length of the latents, in units of sqrt(n), the usual length under the prior",
        "memory": "high-water mark of the process, and how far above what it held before it began; on a GPU "
        "of tensors",
        "of bf16 rate": "operations of the plain pipeline per second, of the measured bfloat16 rate",
        "per second": f"prototypes; the paper reports {PAPER} on a GPU that it does not name",
    }
    return header(meanings)


def shortfalls(rows: Sequence[Row], method: str) -> str:
    """Where a method is below what it has to reach, in one line."""
    judged = [row for row in rows if row.method == method]
    low = [
        f"{row.network} {layer}: {ratio.median:.2f} / {ratio.low:.2f}"
        for row in judged
        for layer, ratio in row.ratios.items()
        if ratio.median < LEAST_MEDIAN or ratio.low < LEAST_LOW
    ]
    asked = f"median at least {LEAST_MEDIAN:.2f}, {LOW}th percentile at least {LEAST_LOW:.2f} in every layer"
    least = min(row.faster for row in judged)
    return f"{asked}: {'below in ' + '; '.join(low) if low else 'yes'}; at least {least:.1f} times less time"


def _cells(row: Row, titles: Mapping[str, str], layers: Iterable[str]) -> Iterable[str]:
    yield from (row.network, titles[row.method], str(row.units))
    yield from (f"{row.forward:.0f}", f"{row.gradient:.0f}", f"{row.seconds:.3g}")
    yield from (f"{row.faster:.1f}", f"{1 / row.seconds:.3g}")
    for layer in layers:
        ratio = row.ratios[layer]
        yield f"{ratio.median:.2f} / {ratio.low:.2f}" if ratio.units else "all dead"
    yield f"{row.dead} ({row.woken})"
    yield "" if np.isnan(row.norm) else f"{row.norm:.2f}"
    yield f"{row.peak:,.0f} ({row.own:,.0f})"
    yield f"{100 * row.share:.2g} %"


def _processor(field: str) -> str:
    """A field of the first processor in /proc/cpuinfo, or nothing."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
