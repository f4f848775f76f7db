"""nndiag: see, layer by layer, why a network does not train, and prove which fix works.

The names below load on first use, so that `import nndiag` costs nothing and torch stays out until
a `Probe` is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nndiag.diagnosis import diagnose
    from nndiag.diagnosis.context import Context
    from nndiag.integrations.loop import Diagnosis, Watch, watch
    from nndiag.probe.probe import Probe
    from nndiag.schema.errors import DataError, NndiagError, RunError, UsageError
    from nndiag.schema.finding import Finding, Severity, Symptom
    from nndiag.schema.result import Interval, Result
    from nndiag.schema.spec import DataSpec, GradientsSpec, NetworkSpec, OptimizerSpec
    from nndiag.schema.trace import LayerInfo, Trace

__version__ = "0.1.0"

__all__ = [
    "Context",
    "DataError",
    "DataSpec",
    "Diagnosis",
    "Finding",
    "GradientsSpec",
    "Interval",
    "LayerInfo",
    "NetworkSpec",
    "NndiagError",
    "OptimizerSpec",
    "Probe",
    "Result",
    "RunError",
    "Severity",
    "Symptom",
    "Trace",
    "UsageError",
    "Watch",
    "__version__",
    "diagnose",
    "watch",
]

_HOMES = {
    "nndiag.diagnosis": ("diagnose",),
    "nndiag.diagnosis.context": ("Context",),
    "nndiag.integrations.loop": ("Diagnosis", "Watch", "watch"),
    "nndiag.probe.probe": ("Probe",),
    "nndiag.schema.errors": ("DataError", "NndiagError", "RunError", "UsageError"),
    "nndiag.schema.finding": ("Finding", "Severity", "Symptom"),
    "nndiag.schema.result": ("Interval", "Result"),
    "nndiag.schema.spec": ("DataSpec", "GradientsSpec", "NetworkSpec", "OptimizerSpec"),
    "nndiag.schema.trace": ("LayerInfo", "Trace"),
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = globals()[name] = getattr(importlib.import_module(home), name)
            return value
    raise AttributeError(f"module 'nndiag' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
