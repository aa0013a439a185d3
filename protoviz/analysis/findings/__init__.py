"""The findings of a study, with their uncertainty: claims F1 to F14, or a description of any study."""

from protoviz.analysis.findings.collection import CLAIMS, about, collect, note
from protoviz.analysis.findings.description import describe
from protoviz.analysis.findings.form import of_any, of_the_paper
from protoviz.analysis.findings.prediction import accuracies, predicted
from protoviz.analysis.findings.study import Study

__all__ = [
    "CLAIMS",
    "Study",
    "about",
    "accuracies",
    "collect",
    "describe",
    "note",
    "of_any",
    "of_the_paper",
    "predicted",
]
