"""The findings of the paper, F1 to F11, as verdicts computed from a study, with their uncertainty."""

from protoviz.analysis.findings.collection import CLAIMS, about, collect, note
from protoviz.analysis.findings.study import Study

__all__ = ["CLAIMS", "Study", "about", "collect", "note"]
