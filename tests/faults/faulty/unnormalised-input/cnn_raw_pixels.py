import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, Dataset


class ByteImages(Dataset):
    def __init__(self, n):
        g = torch.arange(14.0)
        self.labels = torch.randint(0, 4, (n,))
        w = torch.stack(
            [g.expand(14, 14), g[:, None].expand(14, 14), g + g[:, None], g - g[:, None]]
        )
        wave = torch.sin(1.1 * w[self.labels] + 6.28 * torch.rand(n, 1, 1))
        noisy = 127 + 80 * wave + 30 * torch.randn(n, 14, 14)
        self.images = noisy.clamp(0, 255).to(torch.uint8)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, i):
        return self.images[i].float().unsqueeze(0), self.labels[i]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 9, 32)
        self.fc2 = nn.Linear(32, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


torch.manual_seed(0)
train_loader = DataLoader(ByteImages(800), batch_size=40, shuffle=True)
test_loader = DataLoader(ByteImages(200), batch_size=200)
net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(5):
    for x, y in train_loader:
        loss = F.cross_entropy(net(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    x, y = next(iter(test_loader))
    print("accuracy", (net(x).argmax(1) == y).float().mean().item())
