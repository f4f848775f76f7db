"""Two moons, binary classifier."""

import math

import torch
import torch.nn as nn


def make_moons(n, noise=0.15):
    half = n // 2
    t = torch.rand(half) * math.pi
    outer = torch.stack([t.cos(), t.sin()], dim=1)
    inner = torch.stack([1 - t.cos(), 0.5 - t.sin()], dim=1)
    x = torch.cat([outer, inner]) + noise * torch.randn(2 * half, 2)
    y = torch.cat([torch.zeros(half), torch.ones(half)])
    order = torch.randperm(2 * half)
    return x[order], y[order]


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(2, 32)
        self.fc2 = nn.Linear(32, 32)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        x = torch.tanh(self.fc1(x))
        x = torch.tanh(self.fc2(x))
        return self.out(x).squeeze(1)


torch.manual_seed(0)
x, y = make_moons(1000)
mean, std = x[:800].mean(0), x[:800].std(0)
x = (x - mean) / std
net = Classifier()
loss_fn = nn.BCEWithLogitsLoss()
opt = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)

for epoch in range(15):
    perm = torch.randperm(800)
    for i in range(0, 800, 50):
        idx = perm[i : i + 50]
        loss = loss_fn(net(x[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", round(loss.item(), 4))

with torch.no_grad():
    pred = (net(x[800:]) > 0).float()
print("accuracy", (pred == y[800:]).float().mean().item())
