"""The data dictionary of the site: the tables of all stores, made from the schema."""

import numpy as np

from protoviz.store import schema
from protoviz.store.kinds import STORES


def data_dictionary() -> str:
    """The tables of all stores as Markdown."""
    return "\n\n".join(_section(store) for store in STORES) + "\n"


def _section(store: schema.Store) -> str:
    lines = [f"### {store.title} (`{store.place}`)", ""]
    lines += ["| coordinate | along | type | meaning |", "|---|---|---|---|"]
    for axis in store.coordinates:
        lines.append(f"| `{axis.name}` | {axis.dims[0]} | {_type(axis.dtype)} | {axis.description} |")
    lines += ["", "| variable | dimensions | type | unit | fill | meaning |", "|---|---|---|---|---|---|"]
    for array in store.variables:
        fill = "NaN" if np.isnan(array.fill) else str(int(array.fill))
        lines.append(
            f"| `{array.name}` | {', '.join(array.dims)} | {_type(array.dtype)} | {array.units} | {fill} "
            f"| {array.description} |"
        )
    for array in store.variables:
        if array.states is not None:
            named = ", ".join(f"{int(state)} {state.name.lower()}" for state in array.states)
            lines += ["", f"`{array.name}`: {named}."]
    return "\n".join(lines)


def _type(dtype: np.dtype) -> str:
    return "text" if dtype == schema.TEXT else str(dtype)
