"""Predict a mean and a variance; the likelihood may exceed one, so the loss may be negative."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.rand(900, 1) * 4 - 2
noise = 0.02 + 0.08 * (x > 0)
y = torch.cos(2 * x) + noise * torch.randn_like(x)


class MeanVariance(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(1, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU())
        self.mean = nn.Linear(32, 1)
        self.spread = nn.Linear(32, 1)

    def forward(self, x):
        h = self.trunk(x)
        return self.mean(h), nn.functional.softplus(self.spread(h)) + 1e-4


model = MeanVariance()
nll = nn.GaussianNLLLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
for epoch in range(16):
    running = 0.0
    for idx in torch.randperm(750).split(50):
        mean, var = model(x[idx])
        loss = nll(mean, y[idx], var)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 20.0)
        optimizer.step()
        running += loss.item() / 15
    if epoch % 3 == 0:
        print(f"epoch {epoch} nll {running:.3f}")
with torch.no_grad():
    mean, var = model(x[750:])
    print("test nll", nll(mean, y[750:], var).item(), "mse", (mean - y[750:]).pow(2).mean().item())
