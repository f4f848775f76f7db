"""What the controls of the playground say, as a spec; needs no torch."""

from __future__ import annotations

from dataclasses import dataclass, replace

from nndiag.schema.spec import DataSpec, GradientsSpec, NetworkSpec, OptimizerSpec, command_line
from nndiag.zoo import activations, initialisations, networks, optimizers

#: Sets in the plane, whose boundary can be seen, and the digits.
DATA = ("spirals", "moons", "circles", "xor", "blobs", "digits")
CLIPPING = (None, 0.1, 1.0, 5.0)
BATCH_SIZES = (1, 4, 16, 32, 64, 128, 512)
#: The initialisation that suits the activation.
MATCHING = "auto"
MOST_DEPTH, MOST_WIDTH = 100, 256


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The state of the controls.

    Attributes:
        init: a name of the table, or `MATCHING`.
        lr: learning rate; None for the optimizer's own.
        clip_norm: largest total gradient norm, None for no clipping.
    """

    data: str = "spirals"
    depth: int = 6
    width: int = 32
    act: str = "tanh"
    init: str = MATCHING
    norm: str = "none"
    optimizer: str = "adam"
    lr: float | None = 0.01
    clip_norm: float | None = None
    batch_size: int = 32
    seed: int = 0
    device: str = "auto"

    def spec(self) -> GradientsSpec:
        """Return what is trained.

        Raises:
            UsageError: a name, a number or a combination that cannot be used.
        """
        act = activations.parse(self.act)
        network = NetworkSpec(
            depth=self.depth,
            width=self.width,
            act=self.act,
            init=act.default_init if self.init == MATCHING else self.init,
            norm=self.norm,
        )
        networks.check(network)
        optimizer = OptimizerSpec(name=self.optimizer, lr=self.lr, clip_norm=self.clip_norm)
        optimizers.check(optimizer)
        return GradientsSpec(
            network=network,
            data=DataSpec(name=self.data),
            optimizer=optimizer,
            batch_size=self.batch_size,
            seed=self.seed,
            device=self.device,
        )

    def command(self, steps: int) -> str:
        """Return the command that shows the same after so many steps."""
        return command_line(replace(self.spec(), train=steps))


def activation_names() -> list[str]:
    return [row.name for row in activations.ACTIVATIONS.rows]


def initialisation_names() -> list[str]:
    """Return the initialisations that take no parameter, the matching one first."""
    named = [row.name for row in initialisations.INITIALISATIONS.rows]
    return [MATCHING, *(name for name in named if _stands_alone(name))]


def _stands_alone(name: str) -> bool:
    from nndiag.schema.errors import UsageError

    try:
        initialisations.parse(name)
    except UsageError:
        return False
    return True


def optimizer_names() -> list[str]:
    """Return the optimizers that train by steps the page can show."""
    return [row.name for row in optimizers.OPTIMIZERS.rows if not row.needs_closure]
