"""The signs that a terminal can draw: Unicode, or plain ASCII where the encoding has no more."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from nndiag.schema.finding import Severity

# Signs of our own sentences whose ASCII form NFKD does not give.
_SPELLED = str.maketrans(
    {
        "·": "-", "×": "x", "÷": "/", "±": "+-", "≤": "<=", "≥": ">=", "≈": "~", "→": "->",
        "—": "-", "–": "-", "…": "...", "’": "'", "‘": "'", "“": '"', "”": '"', "−": "-",
        "φ": "phi", "χ": "chi", "ξ": "xi", "σ": "sigma", "π": "pi", "δ": "delta", "′": "'",
        "√": "sqrt", "∞": "inf", "«": '"', "»": '"', "œ": "oe",
    }
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Glyphs:
    """What to draw with.

    Attributes:
        full: a filled cell of a bar.
        parts: cells filled by 1/n, 2/n ... (n - 1)/n; empty where there are none.
        mark: the theory's place on a bar.
        plus_minus, times: signs of an interval.
        gap: stands for folded rows.
        rule: horizontal line.
        track: empty cell of a progress bar.
        severity: sign of each severity; "" is the sign of "nothing found".
    """

    full: str
    parts: str
    mark: str
    plus_minus: str
    times: str
    gap: str
    rule: str
    track: str
    dot: str
    ok: str
    info: str
    warning: str
    critical: str
    ascii_only: bool

    def text(self, text: str) -> str:
        """Return a sentence in signs that the terminal has."""
        if not self.ascii_only:
            return text
        spelled = unicodedata.normalize("NFKD", text.translate(_SPELLED))
        return "".join(
            sign if ord(sign) < 128 else "?" for sign in spelled if not unicodedata.combining(sign)
        )

    def severity(self, severity: Severity | None) -> str:
        """Return the sign of a severity (None: nothing found)."""
        signs = {Severity.INFO: self.info, Severity.WARNING: self.warning}
        return self.ok if severity is None else signs.get(severity, self.critical)


UNICODE = Glyphs(
    full="█",
    parts="▏▎▍▌▋▊▉",
    mark="│",
    plus_minus="±",
    times="×÷",
    gap="⋮",
    rule="─",
    track="─",
    dot="·",
    ok="✓",
    info="i",
    warning="!",
    critical="✗",
    ascii_only=False,
)
ASCII = Glyphs(
    full="#",
    parts="",
    mark="|",
    plus_minus="+-",
    times="x/",
    gap=":",
    rule="-",
    track=".",
    dot="-",
    ok="ok",
    info="i",
    warning="!",
    critical="X",
    ascii_only=True,
)


def glyphs_for(ascii_only: bool) -> Glyphs:
    """Return the signs for a console, from Rich's `options.ascii_only`."""
    return ASCII if ascii_only else UNICODE


#: Rich styles by severity; None is "nothing found". The signs above carry the same meaning.
STYLES: dict[Severity | None, str] = {
    None: "green",
    Severity.INFO: "cyan",
    Severity.WARNING: "yellow",
    Severity.CRITICAL: "bold red",
}
