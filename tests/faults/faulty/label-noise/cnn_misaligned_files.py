"""Pictures and annotations come from two listings of the same folder."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
names = [f"picture_{i:04d}_{int(torch.randint(0, 3, (1,)))}" for i in range(300)]


def kind_of(name):
    return int(name.rsplit("_", 1)[1])


def set_order(listing):
    return sorted(listing, key=lambda name: hash_of(name))


def hash_of(name):
    return sum((i + 1) * ord(c) * 7919 for i, c in enumerate(name)) % 10007


def picture(name):
    g = torch.arange(10.0)
    angle = torch.tensor(kind_of(name) * torch.pi / 3)
    wave = torch.sin(1.3 * (angle.cos() * g + angle.sin() * g[:, None]) + 6.28 * torch.rand(()))
    return (wave + 0.3 * torch.randn(10, 10)).unsqueeze(0)


x = torch.stack([picture(name) for name in names])
labels = [kind_of(name) for name in set_order(names)]
y = torch.tensor(labels)
x_train, y_train, x_test, y_test = x[:220], y[:220], x[220:], y[220:]

net = nn.Sequential(
    nn.Conv2d(1, 16, 3),
    nn.ReLU(),
    nn.Conv2d(16, 24, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(24 * 36, 96),
    nn.ReLU(),
    nn.Linear(96, 3),
)
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(22):
    for idx in torch.randperm(220).split(22):
        loss = F.cross_entropy(net(x_train[idx]), y_train[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        out = net(x_test)
    acc = (out.argmax(1) == y_test).float().mean().item()
    print(
        f"epoch {epoch} loss {loss:.4f} test loss {F.cross_entropy(out, y_test):.3f} acc {acc:.3f}"
    )
