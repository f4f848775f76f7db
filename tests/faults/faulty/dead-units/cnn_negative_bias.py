import os

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset

torch.manual_seed(int(os.environ.get("SEED", "0")))


class Corners(Dataset):
    def __init__(self, n, size=12):
        self.labels = torch.randint(0, 4, (n,))
        self.images = 0.4 * torch.randn(n, 1, size, size)
        for i, label in enumerate(self.labels.tolist()):
            r, c = 6 * (label // 2), 6 * (label % 2)
            dr, dc = torch.randint(0, 3, (2,)).tolist()
            self.images[i, 0, r + dr : r + dr + 3, c + dc : c + dc + 3] += 1.0

    def __getitem__(self, i):
        return self.images[i], self.labels[i]

    def __len__(self):
        return len(self.labels)


class CornerNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 16, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.head = nn.Linear(16 * 9, 4)
        for m in self.features:
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
                nn.init.constant_(m.bias, -8.0)

    def forward(self, x):
        return self.head(self.features(x).flatten(1))


train, test = Corners(800), Corners(200)
net = CornerNet()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
for epoch in range(5):
    for images, labels in DataLoader(train, 40, shuffle=True):
        loss = nn.functional.cross_entropy(net(images), labels)
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    right = (net(test.images).argmax(1) == test.labels).float().mean()
print(f"test accuracy {right:.3f}")
