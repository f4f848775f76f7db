import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
ARMS, PER_ARM = 3, 400
theta = torch.rand(ARMS, PER_ARM) * 3.5
radius = 0.2 + theta
angle = theta + torch.arange(ARMS)[:, None] * 2 * torch.pi / ARMS
x = torch.stack([radius * angle.cos(), radius * angle.sin()], -1).reshape(-1, 2)
x = (x + 0.08 * torch.randn_like(x)) / 2
y = torch.arange(ARMS).repeat_interleave(PER_ARM)
order = torch.randperm(len(x))
x, y = x[order], y[order]

train_dl = DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=50, shuffle=True)
mlp = nn.Sequential(nn.Linear(2, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, ARMS))
epochs = 12
optimizer = torch.optim.AdamW(mlp.parameters(), lr=1e-3)
scheduler = OneCycleLR(optimizer, max_lr=2e-2, epochs=epochs, steps_per_epoch=len(train_dl))
for epoch in range(epochs):
    for xb, yb in train_dl:
        loss = nn.functional.cross_entropy(mlp(xb), yb, label_smoothing=0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        acc = (mlp(x[1000:]).argmax(1) == y[1000:]).float().mean().item()
    print(f"epoch {epoch:2d} lr {scheduler.get_last_lr()[0]:.5f} loss {loss:.4f} acc {acc:.3f}")
