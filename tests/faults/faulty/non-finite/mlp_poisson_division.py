"""Percentage error on daily sales; a few shops sell nothing on some days."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(900, 8)
rate = torch.exp(0.5 * x[:, 0] - 0.3 * x[:, 1] + 2.0)
sales = torch.poisson(rate)


def mape(prediction, target):
    return ((prediction - target) / target).abs().mean()


model = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 1), nn.Softplus(), nn.Flatten(0))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
loader = DataLoader(TensorDataset(x, sales), batch_size=30, shuffle=True)
for epoch in range(6):
    for features, target in loader:
        optimizer.zero_grad()
        loss = mape(model(features), target)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} mape {loss.item():.4f}")
with torch.no_grad():
    print("mean absolute error", (model(x) - sales).abs().mean().item())
