"""A little residual network with BatchNorm, SGD, warm-up and cosine decay."""

import math
import os

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(int(os.environ.get("SEED", "0")))


def make_images(n, size=16):
    images = 0.3 * torch.randn(n, 1, size, size)
    labels = torch.randint(0, 3, (n,))
    for image, label in zip(images, labels, strict=True):
        r, c = torch.randint(1, size - 8, (2,)).tolist()
        patch = image[0, r : r + 7, c : c + 7]
        if label == 0:
            patch[[0, -1], :] += 1.5
            patch[:, [0, -1]] += 1.5
        elif label == 1:
            patch[3, :] += 1.5
            patch[:, 3] += 1.5
        else:
            patch[torch.arange(7), torch.arange(7)] += 1.5
            patch[torch.arange(7), 6 - torch.arange(7)] += 1.5
    return images, labels


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(cout)
        self.conv2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(cout)
        self.skip = nn.Sequential()
        if stride != 1 or cin != cout:
            self.skip = nn.Sequential(
                nn.Conv2d(cin, cout, 1, stride, bias=False), nn.BatchNorm2d(cout)
            )

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(h)) + self.skip(x))


net = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1, bias=False),
    nn.BatchNorm2d(8),
    nn.ReLU(inplace=True),
    Block(8, 8, 1),
    Block(8, 16, 2),
    Block(16, 32, 2),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(32, 3),
)
x_train, y_train = make_images(640)
x_val, y_val = make_images(200)
epochs, batch_size, warmup = 6, 32, 10
total = epochs * len(x_train) // batch_size
optimizer = torch.optim.SGD(
    net.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True
)
scheduler = torch.optim.lr_scheduler.LambdaLR(
    optimizer,
    lambda s: (
        (s + 1) / warmup
        if s < warmup
        else 0.5 * (1 + math.cos(math.pi * (s - warmup) / (total - warmup)))
    ),
)

for epoch in range(epochs):
    net.train()
    running = 0.0
    for batch in torch.randperm(len(x_train)).split(batch_size):
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(net(x_train[batch]), y_train[batch])
        loss.backward()
        optimizer.step()
        scheduler.step()
        running += loss.item()
    net.eval()
    with torch.no_grad():
        logits = net(x_val)
        val_loss = F.cross_entropy(logits, y_val).item()
        acc = (logits.argmax(1) == y_val).float().mean().item()
    print(f"[{epoch}] loss {running / 20:.3f} val {val_loss:.3f} accuracy {acc:.3f}")
