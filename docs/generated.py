"""What the site says of code and data, made from them while it is built.

A page holds a line such as `<!-- generated: parameters -->`; the function of `TABLES` with that name writes
what stands in its place. A name that does not exist ends the build.
"""

import argparse
import ast
import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

from mkdocs.structure.pages import Page
from mkdocs.utils import get_relative_url
from pydantic import BaseModel
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

ROOT = Path(__file__).parents[1]
MARKER = re.compile(r"^<!-- generated: ([\w-]+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """A page with its tables written out; mkdocs calls this for each."""
    return MARKER.sub(lambda match: TABLES[match[1]](), markdown)


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """A page with docs/javascripts/worker.js in place of the one script that its theme would fetch."""
    ours = get_relative_url("javascripts/worker.js", page.url)
    return output.replace("https://unpkg.com/iframe-worker/shim", ours)


def commands() -> str:
    """The help of every command."""
    from protoviz.cli.main import _parser

    parser = _parser()
    (choices,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    parts = []
    for name, command in choices.choices.items():
        command.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=100, max_help_position=30)
        parts.append(f"## protoviz {name}\n\n```text\n{command.format_help().strip()}\n```")
    return "\n\n".join(parts)


def parameters() -> str:
    """Every parameter of the default study: its value there, what is allowed, what it means."""
    from protoviz.config import params as models

    study = YAML().load(ROOT / "params.yaml")
    parts = []
    for name, field in models.Params.model_fields.items():
        if name not in study:
            continue
        section = _section_of(field.annotation)
        value, meaning = study[name], _comment(study, name)
        if section is None or not isinstance(value, CommentedMap):
            parts.append(_heading(name, meaning) + _one_value(value))
            continue
        rows = list(_rows(section, value))
        parts.append(_heading(name, meaning) + _documented(section) + _table(rows))
    return "\n\n".join(parts)


def _heading(name: str, meaning: str) -> str:
    return f"## `{name}`\n\n" + (f"{meaning[:1].upper()}{meaning[1:]}.\n\n" if meaning else "")


def _documented(section: type[BaseModel]) -> str:
    text = textwrap.dedent(section.__doc__ or "").strip()
    return f"{text}\n\n" if text else ""


def _one_value(value: Any) -> str:
    return f"In the default study: `{_shown(value)}`.\n" if not isinstance(value, CommentedMap) else ""


def _rows(section: type[BaseModel], values: CommentedMap, prefix: str = "") -> Iterator[tuple[str, ...]]:
    for name, field in section.model_fields.items():
        if name not in values:
            continue
        inner = _section_of(field.annotation)
        if inner is not None and isinstance(values[name], CommentedMap):
            yield from _rows(inner, values[name], f"{prefix}{name}.")
        else:
            yield f"`{prefix}{name}`", f"`{_shown(values[name])}`", _comment(values, name)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    """The model behind an annotation, or None."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for one in get_args(annotation) if (found := _section_of(one))), None)


def _comment(values: CommentedMap, name: str) -> str:
    """What params.yaml says behind a value."""
    tokens = [token for token in values.ca.items.get(name, []) or [] if hasattr(token, "value")]
    text = tokens[0].value.split("\n\n")[0] if tokens else ""
    return " ".join(line.strip().lstrip("# ") for line in text.splitlines()).strip()


def _shown(value: Any) -> str:
    return (
        "null"
        if value is None
        else json.dumps(value)
        if isinstance(value, list | dict | bool)
        else str(value)
    )


def _table(rows: list[tuple[str, ...]]) -> str:
    lines = ["| parameter | default study | meaning |", "|---|---|---|"]
    return "\n".join(
        [*lines, *("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)]
    )


def recipes() -> str:
    """The presets of the synthesis."""
    from protoviz.config.synthesis import PRESETS, SUITED

    lines = ["| preset | start | search | transforms | ascent | suits |", "|---|---|---|---|---|---|"]
    for name, recipe in PRESETS.items():
        start, ascent, evolution = recipe.start, recipe.ascent, recipe.evolution
        if start.pool:
            best = "the best" if start.top == 1 else f"the mean of the {start.top} best"
            begun = f"{best} of a pool of {start.pool:,} latents, {start.sigma:g} times as long as usual"
        else:
            begun = f"a latent for each unit, {start.sigma:g} times as long as usual"
        searched = "none"
        if evolution.strategy != "none":
            searched = f"`{evolution.strategy}`, {evolution.generations} generations of {evolution.samples}"
            searched += ", all units" if evolution.only == "all" else ", units without a gradient"
        moved = "at every step" if recipe.transforms.active else "none"
        ball = f", within {ascent.longest:g} times the usual length" if ascent.longest else ""
        climbed = f"Adam {ascent.lr:g}, {ascent.steps} steps{ball}"
        priors = ", ".join(f"`{prior}`" for prior, suited in SUITED.items() if suited == name)
        lines.append(f"| `{name}` | {begun} | {searched} | {moved} | {climbed} | {priors} |")
    return "\n".join(lines)


def stages() -> str:
    """What each stage of dvc.yaml reads and writes."""
    lines = ["| stage | for each | what it makes | writes |", "|---|---|---|---|"]
    for name, stage in YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"].items():
        script = ast.parse((ROOT / "stages" / f"{name}.py").read_text())
        about = " ".join((ast.get_docstring(script) or "").split("\n\n")[0].split())
        each = " and ".join(stage.get("matrix", {}))
        written = [_path(out) for kind in ("outs", "metrics", "plots") for out in stage.get(kind, [])]
        lines.append(f"| `{name}` | {each} | {about} | {'<br>'.join(f'`{path}`' for path in written)} |")
    return "\n".join(lines)


def _path(out: Any) -> str:
    path = next(iter(out)) if isinstance(out, dict) else out
    return re.sub(r"\$\{(?:\w+\.)*(\w+)\}", r"<\1>", path)


def stores() -> str:
    """The data dictionary."""
    from protoviz.store.data_dictionary import data_dictionary

    return re.sub(r"^###", "##", data_dictionary(), flags=re.MULTILINE)


def embedders() -> str:
    """The ImageNet networks in whose features prototypes are compared."""
    from protoviz.models.imagenet import NETWORKS

    lines = [
        "| embedder | vectors | dimensions | images, px | mean | deviation | weights |",
        "|---" * 7 + "|",
    ]
    for name, space in NETWORKS.items():
        mean, std = (", ".join(f"{value:g}" for value in values) for values in (space.mean, space.std))
        cells = (f"`{name}`", space.layer, space.dimensions, space.size, mean, std, f"`{space.file}`")
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    return "\n".join(lines)


def claims() -> str:
    """The findings: what each holds against the data."""
    from protoviz.analysis.findings.collection import CLAIMS

    lines = ["| finding | claim | depends on |", "|---|---|---|"]
    for name, claim in CLAIMS.items():
        axes = ", ".join(claim.axes) or "responses alone"
        lines.append(f"| {name} | {' '.join(claim.text.split())} | {axes} |")
    return "\n".join(lines)


def findings() -> str:
    """The findings of the committed run, as `make repro` prints them."""
    return _findings(ROOT)


def photographs() -> str:
    """Those of the study of photographs."""
    return _findings(ROOT / "studies" / "photographs")


def _findings(study: Path) -> str:
    from protoviz.report import findings_table

    found = json.loads((study / "metrics" / "findings.json").read_text())
    return f"```text\n{findings_table.table(found).strip()}\n```"


def exports() -> str:
    """The reference of what `protoviz` exports."""
    import protoviz

    homes = {**protoviz._HOMES}
    parts = [f"::: {homes[name]}.{name}" for name in ("units", "synthesize", "develop", "join", "save")]
    parts += [f"::: {homes[name]}.{name}" for name in ("receptive_fields", "distances", "measures")]
    parts += [f"::: {homes['atlas']}.atlas", f"::: {homes['open_published']}.open_published"]
    known = {"units", "synthesize", "develop", "join", "save", "receptive_fields", "distances", "measures"}
    known |= {"atlas", "open_published", "plot", "callbacks", "PRESETS", "ImagePrior"}
    parts += [f"::: {homes[name]}.{name}" for name in sorted(set(homes) - known)]
    return "\n\n".join(parts)


TABLES: dict[str, Callable[[], str]] = {
    "claims": claims,
    "commands": commands,
    "embedders": embedders,
    "exports": exports,
    "findings": findings,
    "parameters": parameters,
    "photographs": photographs,
    "recipes": recipes,
    "stages": stages,
    "stores": stores,
}
