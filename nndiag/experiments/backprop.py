"""`nndiag backprop`: gradients multiplied factor by factor, beside autograd and differences."""

from __future__ import annotations

import math
import platform
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from nndiag import __version__
from nndiag.locales import _
from nndiag.schema.progress import Silent, Watch
from nndiag.schema.result import Result, interval
from nndiag.schema.spec_principles import BackpropSpec
from nndiag.theory.activations import Function
from nndiag.zoo import activations, formulas

Array = np.ndarray

#: Step of central differences: the cube root of the float's precision balances both errors.
STEP = float(np.finfo(float).eps) ** (1 / 3)
#: Compared with the activation asked for.
_BESIDE = ("sigmoid", "tanh", "relu", "leaky_relu:0.1")
#: Parameters of the small network: two inputs, two hidden units, one output.
PARAMETERS = ("w11", "w12", "b1", "w21", "w22", "b2", "v1", "v2", "c")


def run(spec: BackpropSpec, *, watch: Watch | None = None) -> Result:
    """Differentiate a small network and a chain by hand, by autograd and by differences."""
    started = time.perf_counter()
    watch = watch or Silent()
    unit = formulas.formula(spec.act)
    watch.stage(_("multiplying factors"), 3)
    network = _network(spec, unit)
    watch.update(1)
    chain = _chain(spec, unit)
    watch.update(2)
    names = dict.fromkeys((activations.parse(spec.act).label, *_BESIDE))
    rows = [_row(name, spec) for name in names]
    return Result(
        command="backprop",
        spec=spec.to_dict(),
        environment={
            "device": "cpu",
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        seconds=time.perf_counter() - started,
        result={
            "network": network,
            "chain": chain,
            "rows": rows,
            "reading": _reading(spec, network, chain, rows),
        },
        version=__version__,
    )


def _network(spec: BackpropSpec, unit: Function) -> dict[str, Any]:
    """Return loss and gradient of (a - y)^2 / 2 with a = phi(v . phi(W x + b) + c)."""
    generator = np.random.default_rng(spec.seed)
    # One decimal, so that the products can be checked with pencil and paper.
    values = np.round(generator.normal(size=len(PARAMETERS)), 1)
    x, target = np.round(generator.normal(size=2), 1), 1.0
    forward = _forward(values, x, unit)
    gradients = [_factors(name, values, x, target, forward, unit) for name in PARAMETERS]
    by_autograd = _autograd(lambda v, phi: _loss(v, torch.tensor(x), target, phi), values, spec.act)
    by_differences = differences(lambda v: float(_loss(v, x, target, unit.phi)), values)
    for one, exact, near in zip(gradients, by_autograd, by_differences, strict=True):
        one.update({"autograd": float(exact), "differences": float(near)})
    hand = np.array([one["product"] for one in gradients])
    return {
        "x": x.tolist(),
        "target": target,
        "parameters": dict(zip(PARAMETERS, values.tolist(), strict=True)),
        "forward": forward,
        "loss": (forward["a"] - target) ** 2 / 2,
        "gradients": gradients,
        "deviation_autograd": float(np.abs(hand - by_autograd).max()),
        "deviation_differences": float(np.abs(hand - by_differences).max()),
    }


def _forward(values: Array, x: Array, unit: Function) -> dict[str, float]:
    w11, w12, b1, w21, w22, b2, v1, v2, c = values
    z1, z2 = w11 * x[0] + w12 * x[1] + b1, w21 * x[0] + w22 * x[1] + b2
    h1, h2 = (float(unit.phi(np.array(z))) for z in (z1, z2))
    s = v1 * h1 + v2 * h2 + c
    a = float(unit.phi(np.array(s)))
    return {"z1": float(z1), "z2": float(z2), "h1": h1, "h2": h2, "s": float(s), "a": a}


def _loss(values: Any, x: Any, target: float, phi: Callable[[Any], Any]) -> Any:
    """Return the loss; numpy arrays and tensors alike."""
    w11, w12, b1, w21, w22, b2, v1, v2, c = values
    hidden = v1 * phi(w11 * x[0] + w12 * x[1] + b1) + v2 * phi(w21 * x[0] + w22 * x[1] + b2)
    return (phi(hidden + c) - target) ** 2 / 2


def _factors(
    name: str, values: Array, x: Array, target: float, forward: dict[str, float], unit: Function
) -> dict[str, Any]:
    """Return the factors of one derivative from the loss back, and their product."""
    at = dict(zip(PARAMETERS, values.tolist(), strict=True))

    def slope(place: str) -> tuple[str, float]:
        return f"phi'({place})", float(unit.derivative(np.array(forward[place])))

    factors = [("a - y", forward["a"] - target), slope("s")]
    if name in ("v1", "v2"):
        factors.append((f"h{name[1]}", forward[f"h{name[1]}"]))
    elif name != "c":
        factors += [(f"v{name[1]}", at[f"v{name[1]}"]), slope(f"z{name[1]}")]
        if name[0] == "w":
            factors.append((f"x{name[2]}", float(x[int(name[2]) - 1])))
    return {
        "label": name,
        "factors": [{"name": text, "value": value} for text, value in factors],
        "product": math.prod(value for _text, value in factors),
    }


def _autograd(loss: Callable[[Any, Any], Any], values: Array, act: str) -> Array:
    """Return the gradient of loss(values, phi) by torch, in float64."""
    phi = activations.parse(act).build().double()
    point = torch.tensor(values, dtype=torch.float64, requires_grad=True)
    value = loss(point, lambda z: phi(z.reshape(1)).reshape(()))
    (gradient,) = torch.autograd.grad(value, point)
    return np.asarray(gradient.numpy())


def differences(loss: Callable[[Array], float], values: Array) -> Array:
    """Return the gradient by central differences, (f(x + h) - f(x - h)) / 2h."""
    found = np.empty(len(values))
    for place, value in enumerate(values):
        step = STEP * max(1.0, abs(float(value)))
        up, down = values.copy(), values.copy()
        up[place] += step
        down[place] -= step
        found[place] = (loss(up) - loss(down)) / (up[place] - down[place])
    return found


def _chain(spec: BackpropSpec, unit: Function) -> dict[str, Any]:
    """Return a_D = phi(w_D ... phi(w_1 x)) unit by unit, and da_D / dx with its bound."""
    weights = _weights(spec)
    x = np.array([spec.x])
    layers = factors(weights, x, unit)
    slope = steepest(unit)
    behind = np.cumprod(layers["factor"][::-1, 0])[::-1]
    bounds = np.cumprod(np.abs(weights[::-1]) * slope)[::-1]
    hand = float(behind[0])
    exact = _autograd(lambda v, phi: _through(weights, v[0], phi), x, spec.act)
    near = differences(lambda v: float(_through(weights, v[0], unit.phi)), x)
    return {
        "layers": [
            {
                "label": str(place + 1),
                "weight": float(weights[place]),
                "z": float(layers["z"][place, 0]),
                "a": float(layers["a"][place, 0]),
                "slope": float(layers["slope"][place, 0]),
                "factor": float(layers["factor"][place, 0]),
                "product": float(behind[place]),
                "bound": float(bounds[place]),
            }
            for place in range(spec.depth)
        ],
        "product": hand,
        "log10_product": float(_logs(layers["factor"])[0]),
        "steepest": slope,
        "bound": float(bounds[0]),
        "log10_bound": float(_logs(slope * weights[:, None])[0]),
        "autograd": float(exact[0]),
        "differences": float(near[0]),
        "deviation_autograd": abs(hand - float(exact[0])),
        "deviation_differences": abs(hand - float(near[0])),
    }


def _weights(spec: BackpropSpec) -> Array:
    return np.broadcast_to(np.array(spec.weights), (spec.depth,)).copy()


def _through(weights: Array, value: Any, phi: Callable[[Any], Any]) -> Any:
    for weight in weights:
        value = phi(float(weight) * value)
    return value


def factors(weights: Array, x: Array, unit: Function) -> dict[str, Array]:
    """Return z, a, phi'(z) and w phi'(z), each (D, N), of a chain at the inputs x (N,)."""
    found: dict[str, list[Array]] = {"z": [], "a": [], "slope": [], "factor": []}
    value = x
    for weight in weights:
        z = weight * value
        value, slope = unit.phi(z), unit.derivative(z)
        for name, numbers in (("z", z), ("a", value), ("slope", slope), ("factor", weight * slope)):
            found[name].append(numbers)
    return {name: np.stack(numbers) for name, numbers in found.items()}


def steepest(unit: Function) -> float:
    """Return the largest |phi'| on a fine grid from -30 to 30."""
    grid = np.concatenate([np.linspace(-30, 30, 60_001), [0.0, -1e-9, 1e-9]])
    return float(np.abs(unit.derivative(grid)).max())


def _logs(product: Array) -> Array:
    """Return log10 |product over the first axis|, which underflows for no depth; -inf for 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log10(np.abs(product)).sum(axis=0))


def _row(name: str, spec: BackpropSpec) -> dict[str, Any]:
    """Return what the chain of one activation makes of the gradient, over inputs from N(0, 1).

    `log10_gradient` is over the inputs that no slope of 0 stops.
    """
    started = time.perf_counter()
    unit = formulas.formula(name)
    draws = [np.random.default_rng([spec.seed + k, 2]).normal() for k in range(spec.seeds)]
    weights = _weights(spec)
    layers = factors(weights, np.array(draws), unit)
    logs = _logs(layers["factor"])
    passed = logs[np.isfinite(logs)]
    slope = steepest(unit)
    bound = float(_logs(slope * weights[:, None])[0])
    return {
        "label": name,
        "act": name,
        "steepest": slope,
        "log10_gradient": interval(passed) if passed.size else None,
        "log10_bound": bound,
        "within_bound": bool((logs <= bound + 1e-6 * spec.depth).all()),
        "slope": interval(layers["slope"].mean(axis=0)),
        "stopped": int(np.isneginf(logs).sum()),
        "diverged": int((~np.isfinite(layers["a"][-1])).sum()),
        "seconds": time.perf_counter() - started,
    }


def _power(log10: float) -> str:
    """Return 10^log10, such as 9.54e-7, however small."""
    if not math.isfinite(log10):
        return "0"
    if -3 <= log10 < 4:
        return f"{10**log10:.3g}"
    whole = math.floor(log10)
    return f"{10 ** (log10 - whole):.2f}e{whole}"


def _reading(
    spec: BackpropSpec, network: dict[str, Any], chain: dict[str, Any], rows: list[dict[str, Any]]
) -> list[str]:
    said = [
        _(
            "By hand, by autograd and by differences the small network's gradient is the same: the "
            "largest deviation is {autograd} from autograd and {near} from differences."
        ).format(
            autograd=f"{network['deviation_autograd']:.1e}",
            near=f"{network['deviation_differences']:.1e}",
        ),
        _(
            "The derivative through {depth} units is a product of {depth} factors w phi'(z), "
            "{product} here. phi' is at most {slope}, so it can be at most {bound}."
        ).format(
            depth=spec.depth,
            product=_power(chain["log10_product"]),
            slope=f"{chain['steepest']:.4g}",
            bound=_power(chain["log10_bound"]),
        ),
    ]
    if set(spec.weights) == {1.0} and spec.act == "sigmoid":
        said.append(
            _(
                "With weights of 1 the bound of the sigmoid is 0.25^{depth}: each unit passes a "
                "quarter at best, and less where it leaves 0."
            ).format(depth=spec.depth)
        )
    if -math.inf < chain["log10_product"] < -11:
        said.append(
            _("Differences no longer see it: it is below the rounding of the value itself.")
        )
    said += [
        _("{name}: for {count} of {seeds} inputs a factor is 0, and nothing passes.").format(
            name=row["label"], count=row["stopped"], seeds=spec.seeds
        )
        for row in rows
        if row["stopped"]
    ]
    return said
