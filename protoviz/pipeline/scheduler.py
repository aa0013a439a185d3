"""Choose which stage of a graph to run next, and estimate how long the rest will take. Pure; runs nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

# Core-seconds of each stage of the default study, measured on two x86 cores. Only their ratios count,
# for the order and for the time left; a stage that is not named takes OTHERWISE.
SECONDS = {
    "dataset": 15,
    "reference": 60,  # this and the next where they are trained; 2 elsewhere
    "generator": 90,
    "train": 55,
    "synthesize": 40,
    "train_stages": 30,
    "synthesize_stages": 80,
    "findings_stages": 20,
    "projection": 20,
    "projection_stages": 20,
    "distances": 15,
    "probe": 11,
    "responses": 9,
    "receptive_fields": 9,
    "atlas": 12,
    "figures": 23,
}
OTHERWISE = 5


@dataclass
class Schedule:
    """The stages of one run of the pipeline: waiting, running, done.

    Args:
        needs: stage -> the stages that must be done before it. Those not among the keys are done.
    """

    needs: Mapping[str, Iterable[str]]
    waiting: list[str] = field(init=False)
    running: dict[str, float] = field(init=False, default_factory=dict)
    done: dict[str, float] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.needs = {
            stage: {need for need in needs if need in self.needs} for stage, needs in self.needs.items()
        }
        self._graph = TopologicalSorter(self.needs)
        self._graph.prepare()
        self._ready = set(self._graph.get_ready())
        chains = longest_chains(self.needs)
        # The stage with the longest chain after it comes first, so that no core is idle at the end; ties keep
        # their order.
        self.waiting = sorted(self.needs, key=lambda stage: -chains[stage])

    def start(self, now: float) -> str | None:
        """Take the next stage whose needs are done, or None if there is none."""
        for stage in self.waiting:
            if stage in self._ready:
                self.waiting.remove(stage)
                self.running[stage] = now
                return stage
        return None

    def finish(self, stage: str, now: float) -> None:
        """Note that a stage is done."""
        self.done[stage] = now - self.running.pop(stage)
        self._graph.done(stage)
        self._ready.update(self._graph.get_ready())

    def seconds_left(self, now: float, jobs: int) -> float | None:
        """An estimate from the pace of the stages that are done; None before the first."""
        if not self.done:
            return None
        pace = sum(self.done.values()) / sum(seconds(stage) for stage in self.done)
        left = {stage: pace * seconds(stage) for stage in self.waiting}
        left |= {
            stage: max(pace * seconds(stage) - (now - start), 1) for stage, start in self.running.items()
        }
        chains = longest_chains({stage: set(self.needs[stage]) & set(left) for stage in left}, left)
        return max(sum(left.values()) / jobs, *chains.values()) if left else 0.0


def seconds(stage: str) -> float:
    """The expected core-seconds of a stage of the default study, such as "train@clrjit-1"."""
    return SECONDS.get(stage.partition("@")[0], OTHERWISE)


def longest_chains(
    needs: Mapping[str, Iterable[str]], durations: Mapping[str, float] | None = None
) -> dict[str, float]:
    """For each stage, the seconds from its start to the end of the longest chain that waits for it.

    Args:
        needs: stage -> the stages that must be done before it, all of them keys; without cycles.
        durations: seconds of each stage; by default the expected ones.
    """
    behind = dict.fromkeys(needs, 0.0)  # the longest chain that waits for the end of a stage
    lengths: dict[str, float] = {}
    for stage in reversed([*TopologicalSorter(needs).static_order()]):
        lengths[stage] = (durations[stage] if durations else seconds(stage)) + behind[stage]
        for need in needs[stage]:
            behind[need] = max(behind[need], lengths[stage])
    return lengths
