from __future__ import annotations

from nndiag.schema.errors import DataError, NndiagError, RunError, UsageError, nearest, unknown_name


def test_nearest_ignores_case() -> None:
    assert nearest("SigmoD", ["tanh", "sigmoid"]) == ["sigmoid"]
    assert nearest("zzz", ["tanh", "sigmoid"]) == []


def test_nearest_of_a_short_name_starts_alike() -> None:
    assert nearest("gpu", ["auto", "cpu", "cuda"]) == []
    assert nearest("mpl", ["mlp", "cnn"]) == ["mlp"]


def test_unknown_name_suggests_the_nearest() -> None:
    error = unknown_name("--act", "sigmod", ["sigmoid", "tanh"], also="package.module:Name")
    assert str(error) == (
        "--act: unknown name 'sigmod'; did you mean sigmoid? (or package.module:Name)"
    )


def test_unknown_name_lists_all_when_nothing_is_near() -> None:
    error = unknown_name("--norm", "zzz", ["none", "batch", "layer"])
    assert str(error) == "--norm: unknown name 'zzz'; accepted: none, batch, layer"


def test_exit_codes() -> None:
    assert [kind.exit_code for kind in (UsageError, DataError, RunError)] == [2, 2, 1]
    assert issubclass(UsageError, NndiagError)
