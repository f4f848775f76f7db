import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.rand(1000, 2) * 6 - 3
y = (torch.sin(2 * x[:, :1]) + torch.cos(1.5 * x[:, 1:])) * 0.8

net = nn.Sequential(nn.Linear(2, 24), nn.Tanh(), nn.Linear(24, 24), nn.Tanh(), nn.Linear(24, 1))
for index, param in enumerate(net.parameters()):
    param.requires_grad_(index >= 4)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
criterion = nn.MSELoss()
loader = DataLoader(TensorDataset(x[:800], y[:800]), batch_size=40, shuffle=True)
for epoch in range(12):
    running = 0.0
    for xb, yb in loader:
        loss = criterion(net(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        running += loss.item()
    print(f"epoch {epoch} loss {running / len(loader):.4f}")
with torch.no_grad():
    print(f"test loss {criterion(net(x[800:]), y[800:]).item():.4f}")
