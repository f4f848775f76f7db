import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
LENGTH = 40


def signals(n):
    t = torch.linspace(0, 1, LENGTH)
    kind = torch.randint(0, 3, (n,))
    f = torch.rand(n, 1) * 3 + 3
    phase = torch.rand(n, 1) * 6.28
    sine = torch.sin(6.28 * f * t + phase)
    wave = torch.stack([sine, torch.sign(sine), 2 * ((f * t + phase / 6.28) % 1) - 1], 1)
    return (wave[torch.arange(n), kind] + 0.15 * torch.randn(n, LENGTH)).unsqueeze(1), kind


class SignalNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv1d(1, 16, 5, padding=2),
            nn.BatchNorm1d(16),
            nn.LeakyReLU(0.1),
            nn.MaxPool1d(2),
            nn.Conv1d(16, 32, 5, padding=2),
            nn.BatchNorm1d(32),
            nn.LeakyReLU(0.1),
            nn.AdaptiveAvgPool1d(4),
        )
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(128, 3)

    def forward(self, x):
        return self.fc(self.drop(self.conv(x).flatten(1)))


train_dl = DataLoader(TensorDataset(*signals(960)), batch_size=32, shuffle=True)
xv, yv = signals(300)
model = SignalNet()
optimizer = torch.optim.NAdam(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=2)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(6):
    model.train()
    for x, y in train_dl:
        optimizer.zero_grad()
        loss = loss_fn(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        out = model(xv)
        val_loss = loss_fn(out, yv)
    scheduler.step(val_loss)
    accuracy = (out.argmax(1) == yv).float().mean().item()
    print(f"epoch {epoch} val loss {val_loss:.4f} val accuracy {accuracy:.4f}")
