"""Which rows of a long table are shown."""

from __future__ import annotations

from collections.abc import Collection

#: Tables up to this length are shown whole.
MOST_ROWS = 24
_EDGE, _MIDDLE = 4, 12
#: A finding on at most this many layers keeps all of them in sight.
_FEW = 3


def shown_rows(total: int, keep: Collection[int] = ()) -> list[int]:
    """Return the positions to show of a table of `total` rows, in order.

    All of them up to `MOST_ROWS`; else the first and last four, twelve evenly chosen between them,
    and `keep` if those are few.
    """
    if total <= MOST_ROWS:
        return list(range(total))
    first, last = _EDGE, total - _EDGE - 1
    middle = {first + int((last - first) * (k + 0.5) / _MIDDLE) for k in range(_MIDDLE)}
    edges = {*range(_EDGE), *range(total - _EDGE, total)}
    return sorted(edges | middle | (set(keep) if len(keep) <= _FEW else set()))
