"""What a lesson is."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from nndiag.schema.finding import Symptom


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """One topic in a few lines.

    Attributes:
        name: stable identifier; that of a symptom is the symptom's.
        what: what it is and why it matters, in two to four sentences.
        formula: the one formula to remember.
        look: what to look at in the output of the commands.
        commands: two to try, as typed.
        papers: where it is from.
        aliases: other names under which it is found, in any language.
        see: names of neighbouring lessons.
    """

    name: str
    title: str
    what: str
    formula: str
    look: str
    commands: tuple[str, str]
    papers: tuple[str, ...]
    aliases: tuple[str, ...] = ()
    see: tuple[str, ...] = ()

    @property
    def symptom(self) -> Symptom | None:
        """The symptom that this lesson explains, None for a topic."""
        return Symptom(self.name) if self.name in set(Symptom) else None

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"symptom": self.symptom}
