"""One colour for each condition, in figures and in the atlas."""

from collections.abc import Sequence

# Okabe & Ito (2008), safe for the common forms of colour blindness; their yellow is too light on white.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
PAPER_COLOURS = {"clrjit": PALETTE[0], "keepclr": PALETTE[1]}


def colours(conditions: Sequence[str]) -> dict[str, str]:
    """A colour for each condition: the paper's two have fixed ones, others take the rest in order."""
    chosen = {name: PAPER_COLOURS[name] for name in conditions if name in PAPER_COLOURS}
    left = [colour for colour in PALETTE if colour not in chosen.values()]
    others = [name for name in conditions if name not in chosen]
    chosen |= {name: left[i % len(left)] for i, name in enumerate(others)}
    return {name: chosen[name] for name in conditions}


NEUTRAL = 128  # grey level around what a mask leaves of a prototype
