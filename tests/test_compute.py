"""A stage's process: threads, determinism, and a device that exists."""

import pytest
import torch
from threadpoolctl import threadpool_info

from protoviz import compute
from protoviz.errors import StudyError


def test_threads_are_those_asked_for():
    compute.prepare("cpu", 1)
    assert torch.get_num_threads() == 1
    assert {library["num_threads"] for library in threadpool_info()} == {1}


def test_nondeterministic_kernels_are_refused():
    compute.prepare("cpu", 1)
    assert torch.are_deterministic_algorithms_enabled()
    assert not torch.is_deterministic_algorithms_warn_only_enabled()


def test_auto_is_the_gpu_where_there_is_one():
    assert compute.prepare("auto", 1).type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_missing_gpu_is_said():
    with pytest.raises(StudyError, match=r"device 'cuda': expected a GPU.*set it to 'auto' or 'cpu'"):
        compute.prepare("cuda", 1)


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda0", "mps", ""])
def test_a_device_that_there_is_not_is_said(name):
    with pytest.raises(StudyError, match=f"device '{name}': expected auto, cpu, cuda, cuda:1"):
        compute.available(name)


def test_whole_float32_leaves_things_as_they_were():
    def allowed():
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before = allowed()
    with compute.whole_float32():
        assert allowed() == (False, False)
    assert allowed() == before
    with pytest.raises(ZeroDivisionError), compute.whole_float32():
        1 / 0  # noqa: B018
    assert allowed() == before
