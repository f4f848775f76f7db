import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class BasicBlock(nn.Module):
    def __init__(self, ch):
        super().__init__()
        self.conv1 = nn.Conv2d(ch, ch, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(ch)
        self.conv2 = nn.Conv2d(ch, ch, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(ch)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        return F.relu(x + self.bn2(self.conv2(out)))


class TinyResNet(nn.Module):
    def __init__(self, classes=6):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.block1 = BasicBlock(8)
        self.block2 = BasicBlock(8)
        self.head = nn.Linear(8, classes)

    def forward(self, x):
        x = F.max_pool2d(self.block1(F.relu(self.stem(x))), 2)
        return self.head(self.block2(x).mean(dim=(2, 3)))


def gratings(n):
    g = torch.arange(12.0)
    k = torch.randint(0, 6, (n,))
    th = (k * torch.pi / 6)[:, None, None]
    phase = 6.28 * torch.rand(n, 1, 1)
    x = torch.sin(1.2 * (th.cos() * g + th.sin() * g[:, None]) + phase)
    return (x + 0.9 * torch.randn_like(x))[:, None], k


model = TinyResNet()
for name, p in model.named_parameters():
    if not name.startswith("head"):
        p.requires_grad = False
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
x, y = gratings(1000)
for epoch in range(5):
    model.train()
    for idx in torch.randperm(800).split(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        out = model(x[800:])
        print(f"epoch {epoch} loss {loss:.3f} val {F.cross_entropy(out, y[800:]):.3f}")
print("accuracy", (out.argmax(1) == y[800:]).float().mean().item())
