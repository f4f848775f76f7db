"""Height of the ground at a position given in metres."""

import torch
import torch.nn as nn

torch.manual_seed(0)
position = 2000 * torch.rand(1200, 2)
height = torch.sin(position[:, :1] / 400) * torch.cos(position[:, 1:] / 500)


class Terrain(nn.Module):
    def __init__(self, hidden=48):
        super().__init__()
        self.first = nn.Linear(2, hidden)
        self.second = nn.Linear(hidden, hidden)
        self.last = nn.Linear(hidden, 1)

    def forward(self, p):
        return self.last(torch.tanh(self.second(torch.tanh(self.first(p)))))


net = Terrain()
mse = nn.MSELoss()
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(15):
    for rows in torch.randperm(1000).split(50):
        optimizer.zero_grad()
        loss = mse(net(position[rows]), height[rows])
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print("variance", height.var().item())
    print("test loss", mse(net(position[1000:]), height[1000:]).item())
