"""Match the units of one network with those of another: across runs, and across the conditions of a run."""

from protoviz import layout
from protoviz.analysis import matching, members
from protoviz.config.study import Study
from protoviz.store import schema_matching, zarr_io
from stages import run_stage


def main(params: Study) -> None:
    """Open what earlier stages have kept, match units, and write one store."""
    asked = params.matching
    networks, units = members.opened(list(params.conditions), params.runs)
    found = matching.matched(
        networks, units, asked.of(params.epochs), draws=asked.null_draws, error=asked.error
    )
    zarr_io.write_dataset(layout.MATCHING, found, schema_matching.MATCHING)
    if found.attrs["absent"]:
        print(f"matching: {found.attrs['absent']}")


if __name__ == "__main__":
    run_stage(main)
