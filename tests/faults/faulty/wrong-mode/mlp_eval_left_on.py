"""Noisy binary labels, dropout against over-fitting."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(900, 30)
y = (x[:, :4].sum(1) + 1.2 * torch.randn(900) > 0).long()
x_val, y_val = x[500:], y[500:]
loader = DataLoader(TensorDataset(x[:500], y[:500]), batch_size=25, shuffle=True)
net = nn.Sequential(
    nn.Linear(30, 64),
    nn.ReLU(),
    nn.Dropout(0.7),
    nn.Linear(64, 64),
    nn.ReLU(),
    nn.Dropout(0.7),
    nn.Linear(64, 2),
)
criterion = nn.CrossEntropyLoss()


def validate():
    net.eval()
    with torch.no_grad():
        return criterion(net(x_val), y_val).item()


print("before training", validate())
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
for epoch in range(12):
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(net(x), y)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f} val loss {validate():.4f}")
