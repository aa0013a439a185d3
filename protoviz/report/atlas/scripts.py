"""Data for the page: scripts that hand over one value, so that they also load from `file://`.

Browsers let a page that is opened from a folder load scripts and images, but not read files.
"""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def write(folder: Path, name: str, value: Any) -> int:
    """Write `data/<name>.js`, which delivers a JSON value under that name; return its bytes."""
    path = folder / "data" / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    path.write_text(f"atlas.deliver({json.dumps(name)},{text});\n")
    return path.stat().st_size


def numbers(values: NDArray[np.floating], digits: int = 4) -> Any:
    """Nested lists of numbers, rounded to `digits` significant digits; None for what is not finite."""
    if values.ndim > 1:
        return [numbers(one, digits) for one in values]
    return [float(f"{one:.{digits}g}") if math.isfinite(one) else None for one in values.tolist()]
