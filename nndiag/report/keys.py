"""What people read for the keys of a result."""

from __future__ import annotations

from nndiag.locales import _, to_translate

#: What people read for the keys of a result; others are shown with spaces.
_KEYS = {
    "label": to_translate("name"),
}


def key_words(key: str) -> str:
    """Return a key of the JSON for people: `test_accuracy` is `test accuracy`."""
    head, _dot, tail = key.rpartition(".")
    known = _KEYS.get(tail)
    text = _(known) if known else tail.replace("_", " ")
    return f"{key_words(head)}: {text}" if head else text
