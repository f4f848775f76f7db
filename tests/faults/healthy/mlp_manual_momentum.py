"""Digits, with the optimizer written out: momentum and a rate that decays."""

import torch
from sklearn.datasets import load_digits
from torch import nn

torch.manual_seed(1)
digits = load_digits()
x = torch.tensor(digits.data, dtype=torch.float32) / 16
y = torch.tensor(digits.target)
order = torch.randperm(len(x))
train, test = order[:1400], order[1400:]

net = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
velocity = [torch.zeros_like(p) for p in net.parameters()]
for epoch in range(12):
    lr = 0.1 * 0.9**epoch
    for rows in train[torch.randperm(len(train))].split(50):
        loss = nn.functional.cross_entropy(net(x[rows]), y[rows])
        net.zero_grad()
        loss.backward()
        for p, v in zip(net.parameters(), velocity):
            v.mul_(0.9).add_(p.grad)
            p.data.add_(v, alpha=-lr)
    print(f"epoch {epoch} loss {loss.item():.3f}")
with torch.no_grad():
    accuracy = (net(x[test]).argmax(1) == y[test]).float().mean().item()
print("test accuracy", accuracy)
