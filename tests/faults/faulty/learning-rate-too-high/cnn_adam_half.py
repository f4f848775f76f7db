import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 5
BATCH = 32
LR = 0.5


def images(n, side=12):
    label = torch.randint(0, 3, (n,))
    g = torch.linspace(-1, 1, side)
    cx, cy = (torch.rand(2, n, 1, 1) - 0.5) * 0.8
    dx, dy = g[None, None, :] - cx, g[None, :, None] - cy
    disc = (dx**2 + dy**2 < 0.25).float()
    cross = ((dx.abs() < 0.15) | (dy.abs() < 0.15)).float()
    ring = disc - (dx**2 + dy**2 < 0.1).float()
    x = torch.stack([disc, cross, ring], 1)[torch.arange(n), label]
    return (x + 0.3 * torch.randn_like(x)).unsqueeze(1), label


class ShapeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 9, 32)
        self.fc2 = nn.Linear(32, 3)

    def forward(self, x):
        x = F.max_pool2d(F.leaky_relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.leaky_relu(self.conv2(x)), 2)
        return self.fc2(F.leaky_relu(self.fc1(x.flatten(1))))


torch.manual_seed(0)
train = DataLoader(TensorDataset(*images(900)), batch_size=BATCH, shuffle=True)
xt, yt = images(300)
model = ShapeNet()
opt = torch.optim.Adam(model.parameters(), lr=LR)
for epoch in range(EPOCHS):
    for x, y in train:
        loss = F.cross_entropy(model(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        acc = (model(xt).argmax(1) == yt).float().mean()
    print(f"epoch {epoch} loss {loss.item():.3f} accuracy {acc:.3f}")
