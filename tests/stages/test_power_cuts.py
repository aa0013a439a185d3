"""What is called finished is on the disk: a synthesis goes on after a power cut, with the same hashes."""

import functools
import hashlib
import itertools
import re
import shutil
import sys

import pytest

from protoviz import layout
from protoviz.store import schema
from tests.reference import miniature, power
from tests.reference.power import Cut

STORE = str(layout.prototypes("clrjit", 1))
EPOCHS, REPEATS = (0, 1), (0, 1)
TASKS = list(itertools.product(EPOCHS, REPEATS))
WAYS = {
    "forgetful": lambda moment, _: Cut.forgetful(moment),
    "names first": lambda moment, _: Cut.names_first(moment),
    "mixed": Cut.mixed,
}


@functools.cache
def digest(content):
    return hashlib.sha256(content).hexdigest()


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    made = miniature.make(tmp_path_factory.mktemp("power") / "study")
    few = {**miniature.CHANGES["train"], "epochs": EPOCHS[-1], "keep": list(EPOCHS)}
    miniature.write_params(made, {**miniature.CHANGES, "train": few})
    return made


@pytest.fixture(scope="module")
def recorded(study, zygote):
    """The moments of a synthesis, and the hashes of its store."""
    log = study.parent / "moments"
    program = (sys.executable, power.__file__, str(log), "synthesize", "clrjit", "1")
    made = miniature.call(study, *program, zygote=zygote)
    assert made.returncode == 0, made.stderr
    return power.recorded(log), miniature.hashes(study / STORE)


def pieces(state):
    """Path in the store -> bytes of all finished pieces; "" and folders, None, if they are there."""
    found = {}
    for path, content in state.items():
        at = re.fullmatch(r"\.scratch/synthesize@clrjit-1/[0-9a-f]+/store(?:/(.+))?", path)
        if at and not path.endswith(".partial"):
            found[at[1] or ""] = content
    return found


def arrays(hashes):
    """The names of what is written shard by shard."""
    found = {path.partition("/")[0] for path in hashes if "/c/0/0/" in path}
    assert found >= {schema.IMAGE, schema.ACTIVATION, schema.ACTIVATION_TRACE, schema.STATUS}
    return found


def shard(hashes, epoch, repeat):
    """The paths of its files."""
    place = rf"\w+/c/0/0/{REPEATS.index(repeat)}/{EPOCHS.index(epoch)}/"
    found = {path for path in hashes if re.match(place, path)}
    assert len(found) == len(arrays(hashes))
    return found


def trusted(state):
    """Path in the store -> bytes of what a later run would take as it is: of pieces, and of the output."""
    inside = {path: content for path, content in pieces(state).items() if content is not None}
    published = {
        path.removeprefix(f"{STORE}/"): content
        for path, content in state.items()
        if path.startswith(f"{STORE}/") and content is not None
    }
    return inside, published


def test_no_cut_leaves_anything_that_is_called_whole_and_is_not(recorded):
    moments, hashes = recorded
    begin = {path for path in hashes if path.endswith("zarr.json")}
    states = set()
    for number, moment in enumerate(moments):
        for name, way in WAYS.items():
            state = way(moment, number)
            states.add(frozenset(state.items()))
            inside, published = trusted(state)
            what = f"cut {number} ({moment.said}), {name}"
            for path, content in inside.items() | published.items():
                assert digest(content) == hashes[path], f"{what}: {path}"
            assert "" not in pieces(state) or begin <= inside.keys(), what
            assert STORE not in state or published.keys() == hashes.keys(), what
    print(f"{len(moments)} moments, {len(states)} states of the disk")
    assert len(states) > 100  # it has seen the calls


def test_what_counts_as_done_survives_a_disk_that_forgets_the_rest(recorded):
    moments, hashes = recorded
    written = {moment.said: moment for moment in moments if moment.said.startswith("written ")}
    assert list(written) == [f"written {epoch} {repeat}" for epoch, repeat in TASKS]
    for (epoch, repeat), moment in zip(TASKS, written.values(), strict=True):
        there = pieces(Cut.forgetful(moment))
        for path in shard(hashes, epoch, repeat):
            assert digest(there[path]) == hashes[path], moment.said
    last = moments[-1]
    assert last.said == "end"
    published = trusted(Cut.forgetful(last))[1]
    assert {path: digest(content) for path, content in published.items()} == hashes


def lay_out(study, state):
    """Give the study the disk of a state."""
    for folder in power.FOLDERS:
        shutil.rmtree(study / folder, ignore_errors=True)
    for path, content in state.items():
        if content is None:
            (study / path).mkdir(exist_ok=True)
        else:
            (study / path).write_bytes(content)


def cuts(moments, hashes):
    """Moments to go on from, and in which ways what was not synced is lost then."""
    written = [number for number, moment in enumerate(moments) if moment.said.startswith("written ")]
    renames = [number for number, moment in enumerate(moments) if moment.said == "os.rename"]
    within = [number for number in renames if written[1] < number < written[2]]
    assert len(within) == len(arrays(hashes))
    yield "within a shard", within[2] + 1, [*WAYS]
    yield "after a shard", written[1], ["forgetful"]
    yield "before it is published", renames[-1], ["mixed"]
    yield "after it has been published", renames[-1] + 1, ["mixed", "names first"]
    yield "at the end", len(moments) - 1, ["forgetful"]


def test_after_a_cut_the_same_command_gives_the_same_hashes(study, zygote, recorded):
    moments, hashes = recorded
    for what, number, ways in cuts(moments, hashes):
        for name in ways:
            state = WAYS[name](moments[number], number)
            done = sum(shard(hashes, *task) <= pieces(state).keys() for task in TASKS)
            lay_out(study, state)
            program = (sys.executable, "-m", "stages.synthesize", "clrjit", "1")
            made = miniature.call(study, *program, zygote=zygote)
            assert made.returncode == 0, f"{what}, {name}: {made.stderr}"
            assert miniature.hashes(study / STORE) == hashes, f"{what}, {name}"
            kept = re.search(rf"(\d+) of {len(TASKS)} kept", made.stderr)
            assert int(kept[1] if kept else 0) == done, f"{what}, {name}"
            assert not [*(study / "data").rglob("*.partial")], f"{what}, {name}"
