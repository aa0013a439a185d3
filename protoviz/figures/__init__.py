"""The figures of study A (requirements G1..G4, G6, G7): functions from the data to matplotlib figures.

Each function takes what the other stages wrote and returns one figure; `save` writes it. None needs
a display, and nothing of matplotlib's global state is read or changed.
"""

from protoviz.figures.curves import Space, between_repeats, diversity, rate_of_change
from protoviz.figures.development import development
from protoviz.figures.grids import prototype_grids
from protoviz.figures.pictures import mosaic
from protoviz.figures.readouts import probe
from protoviz.figures.style import colours, save

__all__ = [
    "Space",
    "between_repeats",
    "colours",
    "development",
    "diversity",
    "mosaic",
    "probe",
    "prototype_grids",
    "rate_of_change",
    "save",
]
