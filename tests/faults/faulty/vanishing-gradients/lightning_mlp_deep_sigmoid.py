import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class DeepClassifier(L.LightningModule):
    def __init__(self, depth=10):
        super().__init__()
        layers = [nn.Linear(20, 48), nn.Sigmoid()]
        for _ in range(depth):
            layers += [nn.Linear(48, 48), nn.Sigmoid()]
        self.model = nn.Sequential(*layers, nn.Linear(48, 6))
        self.loss_fn = nn.CrossEntropyLoss()

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = self.loss_fn(self.model(x), y)
        self.log("train_loss", loss, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        logits = self.model(x)
        self.log("val_loss", self.loss_fn(logits, y))
        self.log("val_acc", (logits.argmax(dim=1) == y).float().mean())

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)


L.seed_everything(0)
means = torch.randn(6, 20) * 1.5
y = torch.randint(0, 6, (1000,))
x = means[y] + torch.randn(1000, 20)
trainer = L.Trainer(
    max_epochs=6,
    accelerator="cpu",
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
)
trainer.fit(
    DeepClassifier(),
    DataLoader(TensorDataset(x[:800], y[:800]), batch_size=40, shuffle=True),
    DataLoader(TensorDataset(x[800:], y[800:]), batch_size=200),
)
print("train loss", trainer.callback_metrics["train_loss"].item())
print("accuracy", trainer.callback_metrics["val_acc"].item())
