"""Fit a cubic to noisy points with gradient descent from scratch."""

import torch

torch.manual_seed(0)
x = torch.linspace(-1, 1, 200)
y = 1.5 * x**3 - x + 0.3 + 0.05 * torch.randn(200)
powers = torch.stack([x**k for k in range(4)], dim=1)

w = torch.randn(4, requires_grad=True)
lr = 0.3
for epoch in range(600):
    loss = ((powers @ w - y) ** 2).mean()
    loss.backward()
    with torch.no_grad():
        w -= lr * w.grad
        w.grad.zero_()
    if epoch % 100 == 0:
        print(f"epoch {epoch:3d} loss {loss.item():.4f}")
print("final loss", loss.item())
