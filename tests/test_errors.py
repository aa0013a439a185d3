"""The error that users see, made of a library's."""

import pickle

import pytest

from protoviz.errors import LONGEST, MissingPackageError, StudyError, said


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("no such\n   place"), "no such place"),
        (ValueError(), "ValueError"),
        (TimeoutError("  \n"), "TimeoutError"),
        (RuntimeError("x" * 2 * LONGEST), "x" * LONGEST),
    ],
)
def test_a_librarys_error_is_said_in_one_short_line(error, text):
    assert said(error) == text
    told = StudyError.of(error, "here", expected="nothing of the kind", remedy="do it again")
    assert str(told) == f"here: expected nothing of the kind, found {text}; do it again"
    assert str(pickle.loads(pickle.dumps(told))) == str(told)


@pytest.mark.parametrize("path", ["/a/two  spaces.png", f"/{'long' * LONGEST}.png", "/a/x.png"])
def test_what_is_named_beside_it_is_left_out_before_the_line_is_cut(path):
    assert said(ValueError(f"cannot identify {path!r}"), omit=f" {path!r}") == "cannot identify"
    assert said(ValueError(f" {path!r}"), omit=f" {path!r}") == "ValueError"


def test_a_package_that_is_missing_is_an_error_of_an_import_also_in_another_process():
    told = MissingPackageError("here", expected="a package", found="none", remedy="install it")
    again = pickle.loads(pickle.dumps(told))
    assert isinstance(again, ImportError)
    assert isinstance(again, StudyError)
    assert str(again) == str(told) == "here: expected a package, found none; install it"
