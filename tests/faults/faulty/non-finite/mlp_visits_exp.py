"""Poisson regression of the number of visits."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = 900 * torch.randn(1000, 6)
visits = torch.poisson(torch.exp(x[:, 0] / 1200 - x[:, 1] / 1500 + 1.0))


class Visits(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(6, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 1)
        )

    def forward(self, x):
        rate = torch.exp(self.net(x)).squeeze(1)
        return rate


model = Visits()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loader = DataLoader(TensorDataset(x[:800], visits[:800]), batch_size=40, shuffle=True)
for epoch in range(6):
    for features, count in loader:
        rate = model(features)
        loss = (rate - count * torch.log(rate)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4g}")
with torch.no_grad():
    rate = model(x[800:])
    print("mean absolute error", (rate - visits[800:]).abs().mean().item())
