import lightning as L
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset, random_split

L.seed_everything(0)


class Waves(Dataset):
    def __init__(self, n):
        g = torch.arange(12.0)
        self.y = torch.randint(0, 3, (n,))
        kinds = torch.stack([g.expand(12, 12), g[:, None].expand(12, 12), g + g[:, None]])
        self.x = torch.sin(1.1 * kinds[self.y] + 6.28 * torch.rand(n, 1, 1))
        self.x = self.x.unsqueeze(1) + 0.4 * torch.randn(n, 1, 12, 12)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


class WaveModel(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.head = nn.Linear(64, 3)
        self.criterion = nn.CrossEntropyLoss()

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = self.criterion(self.head(self.conv(x)), y)
        self.log("loss", loss, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        out = self.head(self.conv(x))
        self.log_dict(
            {"val_loss": self.criterion(out, y), "acc": (out.argmax(1) == y).float().mean()}
        )

    def on_validation_epoch_end(self):
        print({k: round(v.item(), 4) for k, v in self.trainer.callback_metrics.items()})

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.1, total_steps=steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }


train, val = random_split(Waves(1000), [800, 200])
trainer = L.Trainer(
    max_epochs=4,
    accelerator="cpu",
    accumulate_grad_batches=2,
    gradient_clip_val=5.0,
    logger=False,
    enable_checkpointing=False,
    enable_progress_bar=False,
    enable_model_summary=False,
    num_sanity_val_steps=0,
)
trainer.fit(WaveModel(), DataLoader(train, 20, shuffle=True), DataLoader(val, 200))
print("accuracy", trainer.callback_metrics["acc"].item())
