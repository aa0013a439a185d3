"""Which findings a study gets: the claims of the paper, or a comparison of whatever conditions it has.

The rule. A study is of the paper's form if

- its networks are trained by the pipeline, so that its augmentations are known and runs are matched: in one
  run all conditions start from the same weights and see the images in the same order;
- `clrjit` and `keepclr` are among its conditions, and clrjit jitters colours more often than keepclr.

Such a study is tested on F1 to F14. Every other study is described (description.py). A study of the paper's
form is described as well: in full if it has further conditions, else by the measures that no claim covers.
"""

from collections.abc import Mapping
from typing import Any

from protoviz.analysis.findings.collection import collect
from protoviz.analysis.findings.comparisons import JITTER, KEEP, PAIR
from protoviz.analysis.findings.description import describe
from protoviz.analysis.findings.measures import UNCLAIMED
from protoviz.analysis.findings.study import Study
from protoviz.config.learning import Augment


def of_the_paper(augmentations: Mapping[str, Augment]) -> bool:
    """Whether a study is of the paper's form.

    Args:
        augmentations: of each condition; none for networks that were trained elsewhere.
    """
    if not all(name in augmentations for name in PAIR):
        return False
    return augmentations[JITTER].cj_prob > augmentations[KEEP].cj_prob


def of_any(
    study: Study, described: Mapping[str, Any], augmentations: Mapping[str, Augment]
) -> dict[str, Any]:
    """The findings of a study, as metrics/findings.json holds them.

    Args:
        study: its stores.
        described: its description before the findings (`about`).
        augmentations: of each condition; none for networks that were trained elsewhere.

    Returns:
        For a study of the paper's form, what `collect` returns, with the result of `describe` as `beside`:
        for all measures if there are further conditions, else for those that no claim covers, if any. For any
        other study, what `describe` returns, whose `kind` is "general".
    """
    matched = bool(augmentations)
    if not of_the_paper(augmentations):
        return describe(study, described, matched=matched)
    found = collect(study, described)
    if len(augmentations) > len(PAIR):
        found["beside"] = describe(study, described, matched=matched)
    elif study.is_compared:
        found["beside"] = describe(study, described, matched=matched, only=UNCLAIMED)
    return found
