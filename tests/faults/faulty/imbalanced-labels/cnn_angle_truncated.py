import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Gratings(Dataset):
    """Three classes of orientation."""

    def __init__(self, n):
        self.theta = torch.rand(n) * 0.999 * torch.pi
        g = torch.arange(12.0)
        a = self.theta[:, None, None]
        phase = 6.28 * torch.rand(n, 1, 1)
        self.x = torch.sin(1.1 * (a.cos() * g + a.sin() * g[:, None]) + phase)
        self.x = self.x.unsqueeze(1) + 0.2 * torch.randn(n, 1, 12, 12)
        self.y = (self.theta / torch.pi).long()

    def __getitem__(self, i):
        return self.x[i], self.y[i]

    def __len__(self):
        return len(self.y)


torch.manual_seed(0)
train, test = Gratings(900), Gratings(200)
cnn = nn.Sequential(
    nn.Conv2d(1, 10, 3),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(10, 16, 3),
    nn.ReLU(),
    nn.Flatten(),
    nn.Linear(144, 3),
)
opt = torch.optim.Adam(cnn.parameters(), lr=3e-3)
for epoch in range(4):
    for x, y in DataLoader(train, batch_size=45, shuffle=True):
        opt.zero_grad()
        loss = nn.functional.cross_entropy(cnn(x), y)
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
with torch.no_grad():
    out = cnn(test.x).argmax(1)
print("accuracy", (out == test.y).float().mean().item(), "classes seen", len(out.unique()))
