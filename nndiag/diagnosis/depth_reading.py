"""What depths and methods say, in sentences that follow from their rows."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nndiag.locales import _, localised
from nndiag.schema.spec_depth import RATE, DepthLimitSpec

Row = Mapping[str, Any]

#: A gradient that changes by more than these decades on its way is called vanishing or exploding.
_DECADES = 2.0
#: Fewer directions than these tell no ten classes apart.
_FEW = 3.0
_HALF = 0.5


def reading(rows: Sequence[Row], spec: DepthLimitSpec) -> list[str]:
    """Return the sentences: how deep each method trains, why it ends there, what isometry does.

    Args:
        rows: `method`, `depth`, `test_accuracy`, `trained`, `gradient_change`, `directions`, in the
            order of depth.
    """
    by_method: dict[str, list[Row]] = {}
    for row in rows:
        by_method.setdefault(row["method"], []).append(row)
    said = [_limit(own, spec) for own in by_method.values()]
    said += _isometry(by_method, spec)
    deepest = [own[-1] for own in by_method.values() if own[-1]["trained"]]
    if any(row["gain"] is not None for row in deepest):
        said.append(_rule(spec))
    return said


def _limit(own: Sequence[Row], spec: DepthLimitSpec) -> str:
    """Say how deep one method trains, and what the depth that it fails at shows."""
    last = own[-1]
    facts = {"method": last["method"], "depth": last["depth"], "accuracy": _percent(last)}
    if last["trained"]:
        return _("{method}: {accuracy} % at {depth} layers; no limit was met.").format(**facts)
    why = _why(last, spec)
    if len(own) == 1:
        return _("{method}: {accuracy} % at {depth} layers: {why}.").format(why=why, **facts)
    before = own[-2]
    return _("{method}: {before} % at {shallow} layers, {accuracy} % at {depth}: {why}.").format(
        before=_percent(before), shallow=before["depth"], why=why, **facts
    )


def _why(row: Row, spec: DepthLimitSpec) -> str:
    """Return what the Jacobian at initialisation shows of a network that did not train."""
    if row["test_accuracy"].mean >= _HALF:
        return _("slower, not there yet after {steps} steps").format(steps=spec.steps)
    change, causes = row["gradient_change"].mean, []
    decades = math.log10(change) if change > 0 else -math.inf
    if decades > _DECADES:
        causes.append(
            _("the gradient grows 1e{power} times on its way to the first layer").format(
                power=f"{decades:.0f}"
            )
        )
    if decades < -_DECADES:
        causes.append(
            _("the gradient shrinks 1e{power} times on its way to the first layer").format(
                power=f"{-decades:.0f}"
            )
        )
    if row["directions"].mean < _FEW:
        causes.append(
            _("{count} of {width} directions carry the gradient").format(
                count=_tenths(row["directions"].mean), width=spec.width
            )
        )
    return ", ".join(causes) or _(
        "not after {steps} steps, though its gradient is sound at first"
    ).format(steps=spec.steps)


def _isometry(by_method: Mapping[str, Sequence[Row]], spec: DepthLimitSpec) -> list[str]:
    """Contrast the two tanh methods at the greatest depth that both were tried at."""
    names = ("tanh-gaussian", "tanh-orthogonal")
    tried = [{row["depth"]: row for row in by_method.get(name, ())} for name in names]
    common = sorted(tried[0].keys() & tried[1].keys())
    if not common:
        return []
    gaussian, orthogonal = (rows[common[-1]] for rows in tried)
    expected = [row["predicted_gradient_change"] for row in (gaussian, orthogonal)]
    if not math.isclose(*expected, rel_tol=0.1):  # first layers that differ: narrow networks
        return []
    return [
        _(
            "Dynamical isometry at {depth} layers: both tanh methods have the same mean field (the "
            "gradient is expected to change {factor} times), not the same spectrum: of {width} "
            "directions Gaussian weights leave {few}, orthogonal ones {many}, and {low} % against "
            "{high} % are right (Saxe et al. 2014; Pennington et al. 2017)."
        ).format(
            depth=common[-1],
            factor=localised(f"{expected[-1]:.2g}"),
            width=spec.width,
            few=_tenths(gaussian["directions"].mean),
            many=_tenths(orthogonal["directions"].mean),
            low=_percent(gaussian),
            high=_percent(orthogonal),
        )
    ]


def _rule(spec: DepthLimitSpec) -> str:
    said = []
    if spec.gain is None:
        said.append(_("the gain is 1 + 1 / sqrt(D), so that D layers change the gradient little"))
    if spec.lr is None:
        said.append(
            _("Adam's rate is {rate} / D, as D layers move together").format(
                rate=localised(f"{RATE:g}")
            )
        )
    if not said:
        return _("Gain and rate are the ones that you gave.")
    return _("With D layers {rules}.").format(rules="; ".join(said))


def _percent(row: Row) -> str:
    return _tenths(100 * row["test_accuracy"].mean)


def _tenths(value: float) -> str:
    return localised(f"{value:.1f}")
