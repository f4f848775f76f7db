"""The callbacks inside the real libraries, where they are installed."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

pytestmark = pytest.mark.filterwarnings("default")  # theirs are not ours to mend


def test_lightning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lightning = pytest.importorskip("lightning")
    from nndiag.integrations.lightning import DiagnosisCallback

    class Module(lightning.LightningModule):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 2))

        def training_step(self, batch: list[torch.Tensor], _place: int) -> torch.Tensor:
            x, y = batch
            return F.cross_entropy(torch.softmax(self.net(x), 1), y)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=0.1)

    x = torch.randn(160, 4)
    loader = DataLoader(TensorDataset(x, (x[:, 0] > 0).long()), batch_size=8)
    callback = DiagnosisCallback()
    trainer = lightning.Trainer(
        max_epochs=2,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        accelerator="cpu",
        default_root_dir=tmp_path,
    )
    trainer.fit(Module(), loader)
    assert callback.diagnosis is not None
    assert callback.diagnosis.observation.steps == 40
    assert callback.diagnosis.findings[0].symptom == "loss-output-mismatch"
    assert "loss-output-mismatch" in capsys.readouterr().err


def test_transformers(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from nndiag.integrations.transformers import DiagnosisCallback

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
            scores = self.fc(x)
            return {"loss": F.cross_entropy(scores, labels), "logits": scores}

    x = torch.randn(64, 4)
    data = [{"x": row, "labels": int(row[0] > 0)} for row in x]
    callback = DiagnosisCallback(show=False)
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path), max_steps=12, report_to=[], save_strategy="no", use_cpu=True
    )
    transformers.Trainer(Model(), arguments, train_dataset=data, callbacks=[callback]).train()
    assert callback.diagnosis is not None
    assert callback.diagnosis.observation.steps == 12
    assert callback.diagnosis.observation.optimizers[0].loss.values.size == 12
