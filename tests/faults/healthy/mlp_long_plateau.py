"""Train well past convergence."""

import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(512, 5)
w = torch.tensor([1.0, -2.0, 0.5, 0.0, 1.5])
y = torch.sin(x @ w * 0.5) + 0.3 * torch.randn(512)
model = nn.Sequential(nn.Linear(5, 24), nn.Tanh(), nn.Linear(24, 1), nn.Flatten(0))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-3)
for step in range(400):
    idx = torch.randint(0, 512, (128,))
    loss = (model(x[idx]) - y[idx]).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    print("final loss", (model(x) - y).square().mean().item())
