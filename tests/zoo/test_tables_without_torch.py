"""Names, facts and messages come without loading torch."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import sys
from nndiag.schema.errors import UsageError
from nndiag.schema.spec import NETS, NetworkSpec, OptimizerSpec
from nndiag.zoo import activations, initialisations, networks, normalisations, optimizers
from nndiag.zoo.sequences import sequence_shape

for name in activations.ACTIVATIONS.names:
    act = activations.parse(name)
    assert (act.label, act.default_init in initialisations.INITIALISATIONS.names) == (name, True)
    assert act.he_gain_squared > 0 and act.derivative_max > 0
init = initialisations.parse("he_normal")
assert initialisations.weight_variance(init, activations.parse("relu"), 8, 4) == 0.25
for net in NETS:
    networks.check(NetworkSpec(net=net, act=networks.default_act(net)))
for name in optimizers.OPTIMIZERS.names:
    optimizers.check(OptimizerSpec(name=name, options={"maximize": True}))
for attempt in (
    lambda: networks.check(NetworkSpec(act="sigmod")),
    lambda: networks.check(NetworkSpec(net="lstm", act="relu")),
    lambda: initialisations.parse("xavier"),
    lambda: optimizers.check(OptimizerSpec(name="adaam")),
    lambda: normalisations.build("btch", 3),
):
    try:
        attempt()
    except UsageError as error:
        print(error)
assert sequence_shape((1, 8, 8)) == (64, 1)
assert "torch" not in sys.modules
"""


def test_tables_do_not_load_torch() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        "--act: unknown name 'sigmod'; did you mean sigmoid? (or package.module:Name)",
        "--act: got relu; the cells of --net lstm are fixed, accepted: tanh",
        "--init: unknown name 'xavier'; did you mean xavier_normal?",
        "--optimizer: unknown name 'adaam'; did you mean adam? (or package.module:Name)",
        "--norm: unknown name 'btch'; did you mean batch?",
    ]
