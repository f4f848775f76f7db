"""Small batches summed over four backward passes, GroupNorm instead of BatchNorm."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
MICRO, ACCUM, SIZE = 8, 4, 12


def dots(n):
    y = torch.randint(0, 4, (n,))
    img = 0.4 * torch.randn(n, 1, SIZE, SIZE)
    half = SIZE // 2
    for i in range(n):
        row, col = divmod(int(y[i]), 2)
        r = row * half + int(torch.randint(0, half - 2, (1,)))
        c = col * half + int(torch.randint(0, half - 2, (1,)))
        img[i, 0, r : r + 3, c : c + 3] += 1.2
    return img, y


cnn = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.GroupNorm(4, 8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1),
    nn.GroupNorm(4, 16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(16 * 9, 4),
)
optimizer = torch.optim.Adam(cnn.parameters(), lr=3e-3)
loader = DataLoader(TensorDataset(*dots(960)), batch_size=MICRO, shuffle=True)
for epoch in range(3):
    optimizer.zero_grad()
    for i, (x, y) in enumerate(loader):
        loss = nn.functional.cross_entropy(cnn(x), y) / ACCUM
        loss.backward()
        if (i + 1) % ACCUM == 0:
            optimizer.step()
            optimizer.zero_grad()
    print(f"epoch {epoch} loss {loss.item() * ACCUM:.4f}")

x, y = dots(300)
cnn.eval()
with torch.no_grad():
    print("accuracy", (cnn(x).argmax(1) == y).float().mean().item())
