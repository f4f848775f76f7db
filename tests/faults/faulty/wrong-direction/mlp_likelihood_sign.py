"""Logistic model by its likelihood."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
x = torch.randn(1000, 6)
y = (x[:, 0] + x[:, 1] * x[:, 2] > 0).float()
net = nn.Sequential(nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 1), nn.Flatten(0))


def objective(logits, y):
    picked = y * F.logsigmoid(logits)
    others = (1 - y) * F.logsigmoid(-logits)
    return (picked + others).mean()


optimizer = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
for epoch in range(8):
    for idx in torch.randperm(800).split(40):
        loss = objective(net(x[idx]), y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} objective {loss.item():.4f}")
with torch.no_grad():
    print("accuracy", ((net(x[800:]) > 0) == y[800:].bool()).float().mean().item())
