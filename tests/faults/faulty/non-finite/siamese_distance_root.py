import torch
from torch import nn

torch.manual_seed(0)
KINDS, DIM = 12, 16
prototype = torch.randn(KINDS, DIM)
kind = torch.randint(0, KINDS, (800,))
items = prototype[kind] + 0.6 * torch.randn(800, DIM)


class Embed(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(DIM, 48), nn.ReLU(), nn.Linear(48, 8))

    def forward(self, x):
        return self.net(x)


def distance(a, b):
    return ((a - b) ** 2).sum(dim=1).sqrt()


def contrastive(d, same, margin=2.0):
    return (same * d**2 + (1 - same) * torch.relu(margin - d) ** 2).mean()


embed = Embed()
optimizer = torch.optim.Adam(embed.parameters(), lr=2e-3)
for step in range(200):
    i = torch.randint(0, 600, (64,))
    j = torch.randint(0, 600, (64,))
    same = (kind[i] == kind[j]).float()
    loss = contrastive(distance(embed(items[i]), embed(items[j])), same)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step} loss {loss.item():.4f}")

with torch.no_grad():
    z = embed(items)
    nearest = torch.cdist(z[600:], z[:600]).argmin(1)
    print("nearest neighbour accuracy", (kind[nearest] == kind[600:]).float().mean().item())
