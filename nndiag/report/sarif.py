"""A diagnosis as SARIF 2.1.0, which code-review tools read."""

from __future__ import annotations

import json
from pathlib import Path, PurePath
from typing import Any

from nndiag.schema.finding import Finding, Severity, Symptom
from nndiag.schema.result import Result, plain

_LEVELS = {Severity.INFO: "note", Severity.WARNING: "warning", Severity.CRITICAL: "error"}
_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)


def sarif(result: Result) -> str:
    """Return the findings of a run as one SARIF log."""
    rules = list(dict.fromkeys(finding.symptom for finding in result.findings))
    run = {
        "tool": {
            "driver": {
                "name": "nndiag",
                "semanticVersion": result.version,
                "rules": [_rule(symptom) for symptom in rules],
            }
        },
        "invocations": [
            {
                "executionSuccessful": result.result.get("error") is None,
                "exitCode": int(result.result.get("script_exit", 0)),
            }
        ],
        "results": [_result(finding, rules, result) for finding in result.findings],
    }
    return json.dumps({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(symptom: Symptom) -> dict[str, Any]:
    words = symptom.value.replace("-", " ")
    return {"id": symptom.value, "shortDescription": {"text": words}}


def _result(finding: Finding, rules: list[Symptom], result: Result) -> dict[str, Any]:
    script = str(result.spec.get("script", ""))
    path = Path(script)
    place = {
        "physicalLocation": {
            "artifactLocation": {"uri": PurePath(script).as_posix()},
            "region": {"startLine": _line(path, finding)},
        },
        "logicalLocations": [{"fullyQualifiedName": name} for name in finding.layers],
    }
    text = "\n".join([finding.cause, *(f"- {fix}" for fix in finding.fixes)])
    return {
        "ruleId": finding.symptom.value,
        "ruleIndex": rules.index(finding.symptom),
        "level": _LEVELS[finding.severity],
        "message": {"text": text},
        "locations": [place] if path.suffix else [],
        "properties": {"evidence": plain(finding.evidence), "reference": finding.reference},
    }


#: Where in a script a symptom is dealt with, as far as a word of it tells.
_WORDS = {
    Symptom.LOSS_OUTPUT_MISMATCH: ("CrossEntropyLoss", "cross_entropy", "BCE", "NLLLoss", "Loss("),
    Symptom.MISSING_ZERO_GRAD: (".backward(",),
    Symptom.WRONG_DIRECTION: (".backward(", "maximize"),
    Symptom.BAD_SCHEDULE: ("lr_scheduler", "scheduler.step("),
    Symptom.UNTRAINED_PARAMETERS: ("optim.", ".parameters("),
    Symptom.LEARNING_RATE_TOO_HIGH: ("lr=", "optim."),
    Symptom.LEARNING_RATE_TOO_LOW: ("lr=", "optim."),
    Symptom.ALWAYS_CLIPPED: ("clip_grad",),
    Symptom.WRONG_MODE: (".eval(", ".train("),
    Symptom.UNSHUFFLED_DATA: ("DataLoader(", "shuffle"),
}


def _line(path: Path, finding: Finding) -> int:
    """Return the first line with a word that the symptom has to do with, 1 where none has."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return 1
    names = [
        part for layer in finding.layers[:1] for part in layer.split(".") if part.isidentifier()
    ]
    for word in (*_WORDS.get(finding.symptom, ()), *(f"self.{name} =" for name in names), "nn."):
        for number, line in enumerate(lines, start=1):
            if word in line and not line.lstrip().startswith(("#", "import", "from")):
                return number
    return 1
