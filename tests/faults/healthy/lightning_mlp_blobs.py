import lightning as L
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class LitClassifier(L.LightningModule):
    def __init__(self, n_in=16, n_out=5, lr=3e-3):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(
            nn.Linear(n_in, 64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, n_out)
        )

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = F.cross_entropy(self(x), y)
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        logits = self(x)
        self.log("val_loss", F.cross_entropy(logits, y))
        self.log("val_acc", (logits.argmax(1) == y).float().mean())

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)


def main():
    L.seed_everything(0)
    means = torch.randn(5, 16) * 1.2
    y = torch.randint(0, 5, (1000,))
    x = means[y] + torch.randn(1000, 16)
    train = DataLoader(TensorDataset(x[:800], y[:800]), batch_size=32, shuffle=True)
    val = DataLoader(TensorDataset(x[800:], y[800:]), batch_size=200)
    trainer = L.Trainer(
        max_epochs=5,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(LitClassifier(), train, val)
    metrics = trainer.callback_metrics
    print("val loss", metrics["val_loss"].item(), "val accuracy", metrics["val_acc"].item())


if __name__ == "__main__":
    main()
