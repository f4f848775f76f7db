"""Segment bright discs; the loss is the log of a soft overlap. Some images hold no disc."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
SIZE = 14


def scenes(n):
    g = torch.arange(SIZE).float()
    cy, cx = torch.rand(2, n, 1, 1) * 8 + 3
    present = (torch.rand(n, 1, 1) > 0.02).float()
    disc = ((g[None, :, None] - cy) ** 2 + (g[None, None, :] - cx) ** 2 < 8).float()
    mask = disc * present
    return (mask + 0.5 * torch.randn(n, SIZE, SIZE))[:, None], mask[:, None]


def dice_loss(prob, mask):
    inter = (prob * mask).sum(dim=(1, 2, 3))
    overlap = 2 * inter / (prob.sum(dim=(1, 2, 3)) + mask.sum(dim=(1, 2, 3)))
    return -torch.log(overlap).mean()


class Segmenter(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 12, 3, padding=1)
        self.b = nn.Conv2d(12, 12, 3, padding=1)
        self.c = nn.Conv2d(12, 1, 1)

    def forward(self, x):
        return torch.sigmoid(self.c(F.relu(self.b(F.relu(self.a(x))))))


net = Segmenter()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for step in range(120):
    img, mask = scenes(16)
    loss = dice_loss(net(img), mask)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 20 == 0:
        print(f"step {step} loss {loss.item():.4f}")
img, mask = scenes(100)
with torch.no_grad():
    print(
        "pixel error", ((net(img) > 0.5) != mask.bool()).float().mean().item(), "loss", loss.item()
    )
