import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser(description="teacher-student classification")
parser.add_argument("--hidden", type=int, default=100)
parser.add_argument("--epochs", type=int, default=8)
parser.add_argument("--seed", type=int, default=0)
opts = parser.parse_args()
torch.manual_seed(opts.seed)

x = torch.randn(2000, 30)
w = torch.randn(30, 5) / 30**0.5
y = (x @ w).argmax(1)

net = nn.Sequential(
    nn.Linear(30, opts.hidden),
    nn.Tanh(),
    nn.Linear(opts.hidden, opts.hidden),
    nn.Tanh(),
    nn.Linear(opts.hidden, opts.hidden),
    nn.Tanh(),
    nn.Linear(opts.hidden, 5),
)
for p in net.parameters():
    p.data.normal_(0, 1)

dl = DataLoader(TensorDataset(x[:1500], y[:1500]), batch_size=64, shuffle=True)
adam = torch.optim.Adam(net.parameters(), lr=1e-3)
ce = nn.CrossEntropyLoss()
for epoch in range(opts.epochs):
    for xb, yb in dl:
        adam.zero_grad()
        loss = ce(net(xb), yb)
        loss.backward()
        adam.step()
    print(f"epoch {epoch}, loss {loss.item():.3f}")
with torch.no_grad():
    accuracy = (net(x[1500:]).argmax(1) == y[1500:]).float().mean().item()
print(f"test accuracy {accuracy:.3f}")
