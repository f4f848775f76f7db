import lightning as L
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def peaks(n, length=14):
    tokens = torch.randint(0, 2, (n, length))
    height = (2 * tokens - 1).cumsum(1)
    return TensorDataset(tokens, (height.max(dim=1).values >= 3).long())


class PeakDetector(L.LightningModule):
    def __init__(self, hidden=12):
        super().__init__()
        self.embed = nn.Embedding(2, 6)
        self.gru = nn.GRU(6, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 2)

    def forward(self, tokens):
        out, _ = self.gru(self.embed(tokens))
        return self.head(out[:, -1])

    def training_step(self, batch, _):
        tokens, label = batch
        return F.cross_entropy(self(tokens), label)

    def test_step(self, batch, _):
        tokens, label = batch
        logits = self(tokens)
        self.log("test_loss", F.cross_entropy(logits, label))
        self.log("test_accuracy", (logits.argmax(1) == label).float().mean())

    def configure_optimizers(self):
        return torch.optim.Adam(self.head.parameters(), lr=1e-2)


def main():
    L.seed_everything(0)
    trainer = L.Trainer(
        max_epochs=8,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    model = PeakDetector()
    trainer.fit(model, DataLoader(peaks(1600), batch_size=50, shuffle=True))
    result = trainer.test(model, DataLoader(peaks(600), batch_size=600), verbose=False)[0]
    print("test accuracy", result["test_accuracy"])


main()
