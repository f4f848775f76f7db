"""Write data/backbones.json from torchvision's own metadata: python scripts/make_backbones.py"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torchvision import models

TARGET = Path(__file__).parent.parent / "data" / "backbones.json"


def rows() -> list[dict[str, Any]]:
    """Return a row a classification model with its default ImageNet weights."""
    found = []
    for name in models.list_models(module=models):
        weights = models.get_model_weights(name).DEFAULT
        facts, transform = weights.meta, weights.transforms()
        found.append(
            {
                "name": name,
                "parameters": facts["num_params"],
                "top1": facts["_metrics"]["ImageNet-1K"]["acc@1"],
                "crop": transform.crop_size[0],
                "resize": transform.resize_size[0],
                "least": _patch(name) or max(facts["min_size"]),
                "weights": weights.name,
                "file": weights.url.rpartition("/")[2],
            }
        )
    return found


def _patch(name: str) -> int:
    """Return the side of a vision transformer's patch, of which it takes any whole number."""
    return int(name.rpartition("_")[2]) if name.startswith("vit") else 0


if __name__ == "__main__":
    lines = ",\n".join(json.dumps(row) for row in rows())
    TARGET.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
