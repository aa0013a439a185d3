"""Work in blocks: in order, with fewer at once when memory runs out, and nothing else is caught."""

import itertools
import weakref

import numpy as np
import pytest
import torch

from protoviz import machine
from protoviz.errors import StudyError
from protoviz.synthesis import memory
from protoviz.synthesis.cuda_graph import captured

CPU = torch.device("cpu")
GIB = 1 << 30


def greedy(most, seen):
    """Work that asks for more memory than there is when it is given more than `most` at once."""

    def work(some):
        seen.append(some)
        if len(some) > most:
            torch.empty(1 << 50, dtype=torch.uint8)
        return list(some)

    return work


@pytest.mark.parametrize("block", [1, 3, 4, 10, 100])
def test_blocks_cover_all_in_order(block):
    seen = []
    parts = memory.in_blocks(10, block, greedy(100, seen))
    assert list(itertools.chain(*parts)) == list(range(10))
    assert {len(some) for some in seen[:-1]} <= {block}


def test_nothing_to_do():
    assert memory.in_blocks(0, 4, greedy(0, [])) == []


@pytest.mark.parametrize("most", [1, 2, 3, 5])
@pytest.mark.parametrize("count", [1, 7, 16])
def test_memory_that_runs_out_halves_the_blocks(count, most):
    seen = []
    parts = memory.in_blocks(count, 16, greedy(most, seen))
    assert list(itertools.chain(*parts)) == list(range(count))
    assert max(map(len, parts)) <= most


def test_blocks_larger_than_the_work_are_not_tried_again():
    seen = []
    memory.in_blocks(5, 512, greedy(2, seen))
    assert [len(some) for some in seen] == [5, 2, 2, 1]


def test_blocks_stay_small_once_memory_has_run_out():
    seen = []
    memory.in_blocks(12, 8, greedy(2, seen))
    assert [len(some) for some in seen] == [8, 4, 2, 2, 2, 2, 2, 2]


def test_what_failed_is_let_go_before_it_is_tried_with_fewer():
    held = []

    def work(some):
        assert all(tensor() is None for tensor in held)
        tensor = torch.zeros(len(some))
        held.append(weakref.ref(tensor))
        if len(some) > 1:
            torch.empty(1 << 50, dtype=torch.uint8)
        return len(some)

    assert memory.in_blocks(4, 4, work) == [1, 1, 1, 1]
    assert len(held) == 6


def allocation_of_numpy(_some):
    np.empty(1 << 50, dtype=np.uint8)


def allocation_of_torch(_some):
    torch.empty(1 << 50, dtype=torch.uint8)


@pytest.mark.parametrize("work", [allocation_of_torch, allocation_of_numpy])
def test_memory_for_not_even_one_is_said(work):
    with pytest.raises(
        StudyError, match=r"expected memory for one image, found .*llocate .*; free some memory"
    ):
        memory.in_blocks(4, 4, work)


@pytest.mark.parametrize("library", ["CUBLAS_STATUS", "CUDNN_STATUS", "CUFFT"])
def test_what_the_libraries_of_a_gpu_say_when_its_memory_runs_out_is_understood(library):
    def work(some):
        if len(some) > 2:
            raise RuntimeError(f"error: {library}_ALLOC_FAILED when calling something")
        return list(some)

    assert memory.in_blocks(5, 5, work) == [[0, 1], [2, 3], [4]]


@pytest.mark.parametrize("error", [RuntimeError("sizes do not match"), ValueError("no"), KeyError("x")])
def test_other_errors_pass(error):
    seen = []

    def work(some):
        seen.append(some)
        raise error

    with pytest.raises(type(error)) as raised:
        memory.in_blocks(4, 2, work)
    assert raised.value is error
    assert seen == [range(2)]


def test_an_error_in_the_middle_passes_too():
    def work(some):
        if some.start:
            raise RuntimeError("sizes do not match")
        return some

    with pytest.raises(RuntimeError, match="sizes do not match"):
        memory.in_blocks(4, 2, work)


def test_a_wanted_size_is_taken():
    assert memory.size(7, 10**12, torch.float32, CPU) == 7


def test_the_size_follows_from_the_free_memory(tmp_path, monkeypatch):
    """Half of it, for three numbers each."""
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal: 99 kB\nMemAvailable: {8 * GIB // 1024} kB\n")
    monkeypatch.setattr(machine, "MEMORY", meminfo)
    monkeypatch.setattr(machine, "LIMIT", tmp_path / "none")
    assert machine.free_memory() == 8 * GIB
    elements = GIB // 12 // 8  # with 3 * 4 bytes each, an eighth of a GiB
    assert memory.size("auto", elements, torch.float32, CPU) == 32
    assert memory.size("auto", elements, torch.bfloat16, CPU) == 64
    assert memory.size("auto", 1000 * elements, torch.float32, CPU) == 1
    assert memory.size("auto", 1, torch.float32, CPU) == 64, "more is not useful"
    assert memory.size("auto", 0, torch.float32, CPU) == 64, "not known"


def test_a_container_may_have_less_memory_than_its_machine(tmp_path, monkeypatch):
    for name, text in (("MEMORY", "MemAvailable: 1000 kB\n"), ("LIMIT", "600000\n"), ("USED", "100000\n")):
        (tmp_path / name).write_text(text)
        monkeypatch.setattr(machine, name, tmp_path / name)
    assert machine.free_memory() == 500_000
    (tmp_path / "USED").write_text("700000\n")
    assert machine.free_memory() == 0
    (tmp_path / "LIMIT").write_text("max\n")
    assert machine.free_memory() == 1_024_000
    (tmp_path / "MEMORY").write_text("no numbers\n")
    assert machine.free_memory() == 4 << 30


def test_a_step_on_the_cpu_is_repeated_as_it_is():
    count = torch.zeros(1)

    def step():
        count.add_(1)

    repeat = captured(step, [count], CPU)
    assert count.item() == 0, "preparing it changes nothing"
    for _ in range(3):
        repeat()
    assert count.item() == 3
