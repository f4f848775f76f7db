import torch
from torch import nn

torch.manual_seed(0)
learning_rate = 0.9
coef = torch.randn(5, 1)
X = torch.randn(400, 5) @ (torch.eye(5) + 0.3)
t = X @ coef + 0.7 + 0.1 * torch.randn(400, 1)

linear = nn.Linear(5, 1)
optimizer = torch.optim.SGD(linear.parameters(), lr=learning_rate)
for it in range(60):
    residual = linear(X) - t
    loss = (residual**2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    print(f"iteration {it}: {loss.item():.4g}")
