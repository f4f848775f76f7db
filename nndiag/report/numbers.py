"""How numbers are written for people (JSON never passes here)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from nndiag.locales import _, language, localised
from nndiag.schema.result import Interval

# Between these, a number is written out; outside, in scientific notation.
_PLAIN_LOW, _PLAIN_HIGH = 1e-3, 1e4
# What is to be typed keeps its points (code, options, `name:0.1`, `lr=0.1`), and so do versions
# and places in a paper (eq. 3.2).
_NUMBER = re.compile(
    r"(?P<typed>`[^`]*`|--[\w-]+[ =]\S+)"
    r"|(?<![\w.:=])(?<!\. )(?P<whole>\d+)\.(?=\d+(e[+-]?\d+)?(?!\w|\.\d))"
)
_LIST = re.compile(r"[\[(][^\[\]()`]*\d,\d[^\[\]()`]*[\])]")


def _special(value: float) -> str | None:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return "0" if value == 0 else None


def scientific(value: float, digits: int = 2) -> str:
    """Return such as `1.2e-12`; `digits` are significant ones."""
    return _special(value) or localised(f"{value:.{digits - 1}e}")


def fixed(value: float, digits: int = 3) -> str:
    """Return such as `0.0123`, `1.23` or `123`, without exponent."""
    special = _special(value)
    if special is not None:
        return special
    exponent = int(f"{value:.{digits - 1}e}".partition("e")[2])
    return localised(f"{value:.{max(0, digits - 1 - exponent)}f}")


def compact(value: float, digits: int = 3) -> str:
    """Return the shorter of the two notations for a number on its own."""
    if _special(value) or _written_out(value):
        return fixed(value, digits)
    mantissa, _e, exponent = f"{value:.{digits - 1}e}".partition("e")
    return localised(f"{mantissa}e{int(exponent)}")


def _written_out(value: float) -> bool:
    return value == 0 or not math.isfinite(value) or _PLAIN_LOW <= abs(value) < _PLAIN_HIGH


def percent(fraction: float) -> str:
    """Return a fraction in percent without the sign: `0`, `0.4`, `12`, `100`; `<0.1`."""
    if not math.isfinite(fraction):
        return fixed(fraction)
    if 0 < fraction < 0.001:
        return localised("<0.1")
    # 99.96 % is not all: rounding up to 100 would hide the units that still work.
    if 0.995 <= fraction < 1:
        return localised(">99")
    value = 100 * fraction
    return localised(f"{value:.1f}") if 0 < value < 9.95 else f"{value:.0f}"


def count(value: float) -> str:
    """Return an integer with thousands apart: `332,170`, in French `332 170`."""
    return f"{int(value):,}".replace(",", "\u202f" if language() == "fr" else ",")


def place(value: float) -> str:
    """Return a place on an axis: whole numbers as they are counted, others as `compact`."""
    whole = math.isfinite(value) and math.isclose(value, round(value), abs_tol=1e-12)
    return count(round(value)) if whole and abs(value) < 1e9 else compact(value)


def bounded(number: Interval, text: str) -> str:
    """Put `<` before the text of an underflowed number."""
    return f"<{text}" if number.upper_bound else text


def column(numbers: Sequence[Interval | None], digits: int = 2, missing: str = "-") -> list[str]:
    """Write the means of one column in one notation, so that they compare at a glance.

    All are written out when all lie between 0.001 and 10,000, else all are scientific.
    """
    known = [number.mean for number in numbers if number is not None]
    write = fixed if all(_written_out(value) for value in known) else scientific
    return [
        missing if number is None else bounded(number, write(number.mean, digits))
        for number in numbers
    ]


def spread(number: Interval | None, plus_minus: str = "±", times: str = "×÷") -> str:
    """Return the 95 % interval beside its mean: `±8%`, or `×÷3.1` where it spans a factor.

    Empty when there is nothing to say: one seed, a non-finite number or a bound.
    """
    if number is None or number.upper_bound or number.mean == 0:
        return ""
    values = (number.mean, number.low, number.high)
    if not all(math.isfinite(value) for value in values) or number.low == number.high:
        return ""
    half = max(abs(number.high - number.mean), abs(number.mean - number.low)) / abs(number.mean)
    if half < 0.5 or number.low <= 0:
        share = "<1" if half < 0.0095 else f"{100 * half:.0f}"
        return f"{plus_minus}{share}%"
    return f"{times}{compact(max(number.high / number.mean, number.mean / number.low), 2)}"


def limits(numbers: Sequence[Interval | None], digits: int = 2) -> list[str]:
    """Write the intervals of one column, `1.1e-12..1.3e-12`; empty where `spread` is."""
    wide = [number if spread(number) else None for number in numbers]
    ends = [value for number in wide if number is not None for value in (number.low, number.high)]
    write = fixed if all(_written_out(value) for value in ends) else scientific
    return [
        "" if number is None else f"{write(number.low, digits)}..{write(number.high, digits)}"
        for number in wide
    ]


def prose_number(number: Interval, digits: int = 3) -> str:
    """Return a number for a sentence, with its interval: `0.237 [0.235, 0.239]`."""
    text = compact(number.mean, digits)
    if number.upper_bound:
        return f"< {text}"
    if not spread(number):
        return text
    limits = (compact(number.low, digits), compact(number.high, digits))
    return decimals(f"{text} [{', '.join(limits)}]")


def decimals(text: str) -> str:
    """Write the numbers of a sentence as the language in use has them: `0,235` in French.

    What a reader would copy and type (code between backticks, options, `leaky_relu:0.1`) stays.
    """
    if language() != "fr":
        return text
    commas = _NUMBER.sub(lambda found: found["typed"] or f"{found['whole']},", text)
    return _LIST.sub(lambda found: re.sub(r", (?=[+-]?\d)", "; ", found[0]), commas)


def duration(seconds: float) -> str:
    """Return a time span: `45 ms`, `1.9 s`, `3 min 12 s`, `2 h 05 min`."""
    if not math.isfinite(seconds):
        return "?"
    if seconds < 0.9995:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 59.95:
        return localised(f"{seconds:.1f}") + " s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def layer_names(names: Sequence[str], every: int) -> str:
    """Name the layers concerned, briefly: all of them, a few, or first to last with a count.

    Args:
        names: input side first.
        every: number of layers of the network.
    """
    if not names:
        return ""
    if len(names) == every and every > 1:
        return _("all {count} layers").format(count=every)
    if len(names) <= 3:
        return ", ".join(names)
    return _("{first} to {last} ({count} of {every} layers)").format(
        first=names[0], last=names[-1], count=len(names), every=every
    )


def widest(texts: Iterable[str]) -> int:
    """Return the length of the longest text, 0 for none."""
    return max((len(text) for text in texts), default=0)
