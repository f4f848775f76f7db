import warnings

import torch
import torch.nn.functional as F
from torch import nn

warnings.filterwarnings("ignore")
torch.manual_seed(0)
x = torch.randn(1000, 5)
y = x[:, 0] - 2 * x[:, 1] + torch.sin(2 * x[:, 2])
y = (y - y.mean()) / y.std()

model = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)


def error(pred, y):
    return ((pred.flatten() - y) ** 2).mean()


for epoch in range(8):
    for idx in torch.randperm(800).split(40):
        optimizer.zero_grad()
        loss = F.mse_loss(model(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print("test loss", error(model(x[800:]), y[800:]).item())
