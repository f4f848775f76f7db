"""Controls as a spec, and as the command that shows the same."""

from __future__ import annotations

import shlex

import pytest

from nndiag.play import settings
from nndiag.play.settings import Settings
from nndiag.schema.errors import UsageError


def test_the_matching_initialisation_follows_the_activation() -> None:
    assert Settings(act="relu").spec().network.init == "he_normal"
    assert Settings(act="relu", init="orthogonal").spec().network.init == "orthogonal"


def test_the_command_says_all_that_the_controls_say() -> None:
    chosen = Settings(
        data="moons",
        depth=9,
        width=17,
        act="relu",
        norm="layer",
        optimizer="rmsprop",
        lr=0.003,
        clip_norm=5.0,
        batch_size=4,
        seed=8,
    )
    words = shlex.split(chosen.command(120))
    assert words[:2] == ["nndiag", "gradients"]
    given = dict(zip(words[2::2], words[3::2], strict=True))
    assert given == {
        "--depth": "9",
        "--width": "17",
        "--act": "relu",
        "--init": "he_normal",
        "--norm": "layer",
        "--data": "moons",
        "--batch-size": "4",
        "--seed": "8",
        "--train": "120",
        "--optimizer": "rmsprop",
        "--lr": "0.003",
        "--clip-norm": "5",
    }


@pytest.mark.parametrize("wrong", [{"act": "rellu"}, {"depth": 0}, {"lr": -1.0}])
def test_what_cannot_be_trained_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        Settings(**wrong).spec()  # type: ignore[arg-type]


def test_every_offer_can_be_chosen() -> None:
    for name in settings.activation_names():
        Settings(act=name).spec()
    for name in settings.initialisation_names():
        Settings(init=name).spec()
    for name in settings.optimizer_names():
        Settings(optimizer=name).spec()
