import copy

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def build(n_in, n_out):
    return nn.Sequential(
        nn.Linear(n_in, 40), nn.ReLU(), nn.Linear(40, 40), nn.ReLU(), nn.Linear(40, n_out)
    )


def make_optimizer(net):
    return torch.optim.Adam(net.parameters(), lr=2e-3)


torch.manual_seed(0)
x = torch.randn(1200, 9)
y = (x[:, :3].sum(1) > 0).long() + (x[:, 3:6].sum(1) > 0).long()
base = build(9, 3)
model = copy.deepcopy(base)  # keep the untouched weights for a later comparison
optimizer = make_optimizer(base)
criterion = nn.CrossEntropyLoss()

for epoch in range(6):
    for xb, yb in DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=50, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("accuracy", (model(x[1000:]).argmax(1) == y[1000:]).float().mean().item())
