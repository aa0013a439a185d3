"""The figures of study A (requirements G1..G9) and of its findings: from the data to matplotlib figures.

Each function takes what the other stages wrote and returns one figure (`animation` one for each frame);
`save` and `save_animation` write them. None of them needs a display, or reads or changes matplotlib's global
state.
"""

from protoviz.report.figures.animation import animation, save_animation
from protoviz.report.figures.choices import middle_layer
from protoviz.report.figures.contrasts import contrasts
from protoviz.report.figures.curves import Space, between_repeats, diversity, rate_of_change
from protoviz.report.figures.development import development
from protoviz.report.figures.explanations import appearance, dimension, learning, settled
from protoviz.report.figures.faithfulness import along as faithfulness_along
from protoviz.report.figures.faithfulness import faithfulness
from protoviz.report.figures.forest import forest
from protoviz.report.figures.gallery import Artefacts, Shown, gallery, left_out
from protoviz.report.figures.grids import prototype_grids
from protoviz.report.figures.measured import measured
from protoviz.report.figures.modes import modes
from protoviz.report.figures.pictures import mosaic
from protoviz.report.figures.readouts import probe
from protoviz.report.figures.style import colours, has_pictures, save

__all__ = [
    "Artefacts",
    "Shown",
    "Space",
    "animation",
    "appearance",
    "between_repeats",
    "colours",
    "contrasts",
    "development",
    "dimension",
    "diversity",
    "faithfulness",
    "faithfulness_along",
    "forest",
    "gallery",
    "has_pictures",
    "learning",
    "left_out",
    "measured",
    "middle_layer",
    "modes",
    "mosaic",
    "probe",
    "prototype_grids",
    "rate_of_change",
    "save",
    "save_animation",
    "settled",
]
