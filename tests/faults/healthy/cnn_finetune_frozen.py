"""Pre-train on one task, freeze the body, train a new head on another."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


def gratings(n, kinds):
    g = torch.arange(12).float()
    yy, xx = g[:, None].expand(12, 12), g[None].expand(12, 12)
    waves = torch.stack([xx, yy, xx + yy, xx - yy])[list(kinds)]
    y = torch.randint(0, len(kinds), (n,))
    x = torch.sin(1.2 * waves[y] + 6.28 * torch.rand(n, 1, 1)) + 0.4 * torch.randn(n, 12, 12)
    return x[:, None], y


class Body(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 16, 3, padding=1)
        self.b1 = nn.BatchNorm2d(16)
        self.c2 = nn.Conv2d(16, 32, 3, padding=1)
        self.b2 = nn.BatchNorm2d(32)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.b1(self.c1(x))), 2)
        x = F.relu(self.b2(self.c2(x)))
        return x.mean(dim=(2, 3))


def fit(model, x, y, lr, epochs):
    trainable = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trainable, lr=lr)
    for epoch in range(epochs):
        for idx in torch.randperm(len(x)).split(40):
            loss = F.cross_entropy(model(x[idx]), y[idx])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print(f"  epoch {epoch} loss {loss.item():.4f}")


body = Body()
print("pre-training")
fit(nn.Sequential(body, nn.Linear(32, 3)), *gratings(600, (0, 1, 2)), lr=3e-3, epochs=4)

for p in body.parameters():
    p.requires_grad = False
body.eval()
print("new head")
clf = nn.Sequential(body, nn.Linear(32, 4))
fit(clf, *gratings(600, (0, 1, 2, 3)), lr=2e-2, epochs=5)
x, y = gratings(300, (0, 1, 2, 3))
clf.eval()
with torch.no_grad():
    print("test accuracy", (clf(x).argmax(1) == y).float().mean().item())
