"""The table: what others do to find a unit's best image against this project's engine, in one run.

    python -m benchmarks.synthesis [--study default|full|all] [--device cpu|cuda] [--units N|all]

Methods take turns on each network, so that a change in what a shared machine can do meets all of them.
"""

import argparse
import itertools
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import evidence, ours, rates, subjects
from benchmarks.comparison import row
from benchmarks.methods import METHODS
from benchmarks.process import Result, Task, run_apart
from benchmarks.rates import Rates
from protoviz.errors import StudyError

BASELINE, LUCENT = "published", "lucent"
AGAINST_LUCENT = (LUCENT, "fourier")
TITLES = {name: method.title for name, method in METHODS.items()}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and print the evidence as Markdown."""
    options = _parser().parse_args(arguments)
    names = ["default", "full"] if options.study == "all" else [options.study]
    try:
        for name in names:
            subjects.STUDIES[name].names()  # what is missing is said before any time is spent
        found = {name: _run(name, options) for name in names}
    except StudyError as error:
        sys.exit(str(error))
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))


def _run(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Measure one study and print it; what was printed, for JSON."""
    before = evidence.load()
    machine = rates.measured_apart(name, options.device, options.threads)
    results = _measure(name, options, machine)
    facts = {
        "study": subjects.STUDIES[name].title,
        **evidence.surroundings(machine, options.threads),
        "repeats": f"{options.repeats}, each with random numbers of its own",
        "load before; after": f"{before}; {evidence.load()}",
    }
    rows = [
        row(found, results[network, BASELINE], machine)
        for (network, method), found in results.items()
        if method not in AGAINST_LUCENT
    ]
    against_lucent = [
        row(found, results[network, LUCENT], machine)
        for (network, method), found in results.items()
        if method in AGAINST_LUCENT and LUCENT not in options.skip
    ]
    print(f"## Synthesis: {name}\n\n{evidence.header(facts)}\n")
    print(f"{evidence.table(rows, TITLES)}\n\n{evidence.legend(TITLES[BASELINE])}\n")
    print(f"Preset fast against (b): {evidence.shortfalls(rows, 'fast')}.\n", flush=True)
    if against_lucent:
        print(f"### Fourier basis, {options.steps} steps\n\n{evidence.table(against_lucent, TITLES)}\n")
        print(f"As above, but against {TITLES[LUCENT]}.\n", flush=True)
    return {
        "facts": facts,
        "rates": asdict(machine),
        "rows": [asdict(each) for each in rows],
        "against lucent": [asdict(each) for each in against_lucent],
    }


def _measure(name: str, options: argparse.Namespace, machine: Rates) -> dict[tuple[str, str], list[Result]]:
    """(network, method) -> results, one for each repeat."""
    study = subjects.STUDIES[name]
    many = subjects.spread(
        {layer: range(count) for layer, count in machine.units.items()},
        study.per_layer[0] if options.units is None else options.units,
    )
    few = subjects.spread(many, study.per_layer[1] if options.few is None else options.few)
    plan = [method for method in METHODS if method not in options.skip]
    results: dict[tuple[str, str], list[Result]] = {}
    for repeat, network, method in itertools.product(range(options.repeats), study.names(), plan):
        stretch = 1.0
        if method == "longer":
            stretch = _stretch(*(results[network, other][repeat] for other in (BASELINE, "fast")))
        units = few if METHODS[method].few else many
        computer = (options.device, options.threads)
        task = Task(name, network, method, units, repeat, *computer, options.steps, stretch)
        result = run_apart(task)
        results.setdefault((network, method), []).append(result)
        made = f"{result.seconds:.1f} s for {len(result.response)} prototypes"
        print(f"{name}, {network}, repeat {repeat}, {method}: {made}", file=sys.stderr)
    return results


def _stretch(baseline: Result, fast: Result) -> float:
    """How many times as many steps make the preset fast as slow as the baseline."""
    counts = (sum(fast.charged_forward.values()), sum(fast.gradient.values()))
    return ours.stretch_to(baseline.charged / fast.charged, *counts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.synthesis", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--study", choices=[*subjects.STUDIES, "all"], default="all")
    parser.add_argument("--device", default="cpu", help="cpu (default) or cuda")
    parser.add_argument("--threads", type=int, default=2, help="of torch (default: 2)")
    parser.add_argument("--units", type=_per_layer, help="of each layer, or all (default: the study's own)")
    parser.add_argument(
        "--few", type=_per_layer, help="of these, so many for methods that take one at a time"
    )
    parser.add_argument("--repeats", type=int, default=1, help="independent repetitions (default: 1)")
    parser.add_argument("--steps", type=int, default=64, help="of the Fourier basis (default: 64)")
    parser.add_argument("--skip", nargs="+", default=[], choices=sorted(set(METHODS) - {BASELINE, "fast"}))
    parser.add_argument("--json", type=Path, help="write the results there as well")
    return parser


def _per_layer(text: str) -> int:
    """A number of units; "all" is as many as there are."""
    return sys.maxsize if text == "all" else max(1, int(text))


if __name__ == "__main__":
    main()
