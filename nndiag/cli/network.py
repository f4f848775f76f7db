"""From network options to a spec: the defaults that depend on the kind of network."""

from __future__ import annotations

from typing import Any

from nndiag.locales import _
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NETS, RECURRENT, NetworkSpec, require_choice


def network_spec(
    net: str,
    depth: int | None,
    width: int | None,
    act: str | None,
    init: str | None,
    norm: str,
    *,
    usual_depth: int = 20,
    usual_width: int = 128,
    usual_act: str | None = None,
    **rest: Any,
) -> NetworkSpec:
    """Return the network, with defaults where nothing was asked for.

    Args:
        usual_depth, usual_width, usual_act: the command's defaults for an mlp.
        rest: further fields of the spec.
    """
    from nndiag.zoo import activations, networks

    require_choice("--net", net, NETS)
    if act is not None and net in ("lstm", "gru"):
        raise UsageError(
            _("--act: got {act}, but the gates of {net} are sigmoid and tanh; leave it out").format(
                act=act, net=net
            )
        )
    plain = usual_act if net == "mlp" else None
    chosen = act or plain or networks.default_act(net)
    return NetworkSpec(
        net=net,
        depth=depth if depth is not None else (1 if net in RECURRENT else usual_depth),
        width=width if width is not None else (32 if net == "cnn" else usual_width),
        act=chosen,
        init=init or activations.parse(chosen).default_init,
        norm=norm,
        **rest,
    )
