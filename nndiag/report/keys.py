"""What people read for the keys of a result."""

from __future__ import annotations

from nndiag.locales import _, to_translate

#: Names whose spelling alone does not say it.
_SPELLED = {
    "label": to_translate("name"),
    "rows": to_translate("results"),
    "lr": to_translate("learning rate"),
    "best_lr": to_translate("best learning rate"),
    "act": to_translate("activation"),
    "init": to_translate("initialisation"),
    "norm": to_translate("normalisation"),
    "grad_ratio": to_translate("gradient, first / last"),
    "weight_grad_ratio": to_translate("weight gradient, first / last"),
    "output_grad_norm": to_translate("output gradient norm"),
    "weight_grad_norm": to_translate("weight gradient norm"),
    "relative_grad": to_translate("gradient / weight"),
    "update_ratio": to_translate("update / weight"),
    "p_value": to_translate("p value"),
}


def key_words(key: str) -> str:
    """Return a key of the JSON for people: `test_accuracy` is `test accuracy`."""
    head, _dot, tail = key.rpartition(".")
    text = _SPELLED.get(tail) or tail.replace("_", " ")
    if text.startswith("predicted "):
        text = _("{quantity}, theory").format(quantity=key_words(tail.removeprefix("predicted_")))
    else:
        text = _(text)
    return f"{key_words(head)}: {text}" if head else text
