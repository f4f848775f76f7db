"""The parts of a user's model as the script writes them."""

from __future__ import annotations

from nndiag.schema.observation import ModelRecord, Observation
from nndiag.schema.trace import LayerInfo

#: Kind of the layer that stands for a matrix of the script's own.
BARE = "Matrix"


def trained_model(observation: Observation) -> ModelRecord | None:
    """Return the model that is trained, None where there are none or several."""
    trained = [model for model in observation.models if model.training_passes]
    return trained[0] if len(trained) == 1 else None


def output_layer(observation: Observation) -> tuple[str, ...]:
    """Return the name of the last layer of the model that is trained, () where unclear."""
    model = trained_model(observation)
    return (model.trace.layers[-1].name,) if model is not None and model.trace.layers else ()


def expression(model: ModelRecord, layer: str) -> str:
    """Return the code of a layer: `net.head[2]` for the layer `head.2` of the model `net`."""
    parts = layer.split(".")
    return model.name + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)


def weight(model: ModelRecord, layer: LayerInfo) -> str:
    """Return the code of a layer's weight; a matrix that belongs to no module has its own name."""
    if layer.kind == BARE:
        return layer.name
    return f"{expression(model, layer.name)}.weight"
