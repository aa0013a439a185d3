"""A variant of a condition as an experiment, as the documentation shows it; the page is offline."""

import re
from pathlib import Path

import pytest

from tests.reference import project

pytestmark = pytest.mark.slow

PATIENCE = 120_000  # ms
HOW_TO = (Path(__file__).parents[2] / "docs" / "how-to" / "variants.md").read_text()


@pytest.fixture(scope="module", autouse=True)
def forking(zygote):
    with project.forking(zygote):
        yield


@pytest.fixture(scope="module")
def variant(tmp_path_factory):
    """A study, committed, and the documentation's variant of it; what ran for the variant."""
    folder = project.create(tmp_path_factory.mktemp("variant") / "study")
    project.done(folder, "python", "-m", "protoviz", "repro")
    project.done(folder, "git", "add", "--all")
    project.done(folder, "git", "commit", "--quiet", "--message", "results")
    project.ran(folder)
    (command,) = re.findall(r"\$ (dvc exp run --name weaker .*?) +#", HOW_TO)
    project.done(folder, *command.split())
    return folder, project.ran(folder)


def test_only_the_stages_of_the_condition_run(variant):
    _, ran = variant
    own = [f"{stage}@clrjit-{run}" for stage in ("synthesize", "train") for run in (1, 2)]
    assert sorted(ran) == sorted([*own, "cube", "curves", "metrics@clrjit", "metrics@keepclr"])


def test_metrics_and_experiments_are_compared(variant):
    folder, _ = variant
    table = project.done(folder, "dvc", "metrics", "diff", "main", "weaker", "--md")
    rows = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()]
    assert ["metrics/clrjit.json", "layer1.diversity", "1.0", "0.5", "-0.5"] in rows
    assert "keepclr" not in table
    shown = project.done(folder, "dvc", "exp", "show", "--only-changed", "--md")
    assert "weaker" in shown
    assert "conditions.clrjit.cj_strength" in shown


@pytest.fixture(scope="module")
def page(variant, tmp_path_factory):
    folder, _ = variant
    there = tmp_path_factory.mktemp("page")
    project.done(folder, "dvc", "plots", "diff", "main", "weaker", "-o", str(there))
    return there / "index.html"


def test_the_page_asks_nothing_of_the_network(page):
    text = page.read_text()
    assert set(re.findall(r"https?://[^\"'\s]+", text)) == {
        "http://www.w3.org/2000/svg",  # names of formats, which nobody fetches
        "https://vega.github.io/schema/vega-lite/v5.json",
    }
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", text)


def test_curves_are_drawn_coloured_by_condition_and_dashed_by_revision(page, chromium):
    opened = chromium.new_page()
    opened.set_default_timeout(PATIENCE)
    problems, asked = [], []
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", lambda message: problems.append(message.text))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(page.as_uri())
    drawn = opened.eval_on_selector_all(
        "svg path[d*='L']",
        "all => all.map(p => [p.getAttribute('stroke'), p.getAttribute('stroke-dasharray')])",
    )
    points = opened.eval_on_selector_all("svg circle title", "all => all.map(t => t.textContent)")
    opened.close()
    assert (problems, asked) == ([], [page.as_uri()])
    lines = drawn[:8]  # two conditions, two runs, two revisions; then the legend
    assert {stroke for stroke, _ in lines} == {"#0072B2", "#D55E00"}
    assert {dash for _, dash in lines} == {"", "6 3"}
    assert sorted(map(tuple, lines)) == sorted(
        [(c, d) for c in ("#0072B2", "#D55E00") for d in ("", "6 3")] * 2
    )
    assert len(points) == 8 * 3
    assert "condition clrjit, rev weaker, run 2, epoch 4, value 4.0" in points
