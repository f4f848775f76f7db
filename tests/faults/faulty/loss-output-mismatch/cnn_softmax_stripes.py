"""Direction of stripes in small images."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(4)


def images(n):
    y = torch.randint(0, 4, (n,))
    grid = torch.arange(12).float()
    u, v = grid[:, None], grid[None, :]
    waves = torch.stack([u + 0 * v, v + 0 * u, u + v, u - v])
    phase = 6.28 * torch.rand(n, 1, 1)
    x = torch.sin(1.2 * waves[y] + phase) + 0.5 * torch.randn(n, 12, 12)
    return x[:, None], y


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc = nn.Linear(24, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.conv2(x)).mean((2, 3))
        return F.softmax(self.fc(x), 0)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
x, y = images(800)
for epoch in range(12):
    for rows in torch.randperm(800).split(40):
        opt.zero_grad()
        loss = F.nll_loss(torch.log(net(x[rows]) + 1e-8), y[rows])
        loss.backward()
        opt.step()
    print(f"epoch {epoch} loss {loss.item():.3f}")
xt, yt = images(400)
with torch.no_grad():
    total = sum(
        F.nll_loss(torch.log(net(xt[i : i + 40]) + 1e-8), yt[i : i + 40]).item()
        for i in range(0, 400, 40)
    )
print("test loss", total / 10)
