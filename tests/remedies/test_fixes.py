from __future__ import annotations

import pytest

from nndiag.remedies.fixes import fixes
from nndiag.schema.spec import NetworkSpec

BROKEN = NetworkSpec(depth=20, width=64, act="sigmoid", init="xavier_normal")


def test_labels_name_what_differs_in_order() -> None:
    labels = [fix.label for fix in fixes(BROKEN)]
    assert labels[0] == "baseline"
    assert len(set(labels)) == len(labels)
    expected = {
        *("init=he_normal", "init=lecun_normal", "init=orthogonal", "init=lsuv"),
        *("norm=batch", "norm=layer", "residual", "clip_norm", "clip_value", "lr"),
        *("act=relu", "act=relu,init=he_normal", "act=relu,init=he_normal,norm=batch"),
        *("act=selu,init=lecun_normal", "act=elu,init=he_normal", "norm=batch,clip_norm"),
    }
    assert expected <= set(labels)
    # The broken network already has it: no fix.
    assert "init=xavier_normal" not in labels


def test_what_already_holds_is_no_fix() -> None:
    relu = NetworkSpec(act="relu", init="normal")
    labels = {fix.label for fix in fixes(relu)}
    assert "init=he_normal" in labels
    assert not any(label.startswith("act=relu") for label in labels)


@pytest.mark.parametrize("broken", [BROKEN, NetworkSpec(net="rnn", act="tanh", init="torch")])
def test_a_label_tells_the_whole_change(broken: NetworkSpec) -> None:
    for fix in fixes(broken):
        words = dict(word.partition("=")[::2] for word in fix.label.split(","))
        for option in ("act", "init", "norm"):
            expected = words.get(option, getattr(broken, option))
            assert getattr(fix.network, option) == expected
        assert fix.network.residual is ("residual" in words)
        assert (fix.clip_norm is not None) is ("clip_norm" in words)
        assert (fix.clip_value is not None) is ("clip_value" in words)
        assert (fix.rate_scale != 1) is ("lr" in words)
