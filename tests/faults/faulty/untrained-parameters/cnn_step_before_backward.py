import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class Detector(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 5, padding=2)
        self.norm = nn.BatchNorm2d(10)
        self.lin = nn.Linear(10 * 16, 2)

    def forward(self, x):
        h = F.max_pool2d(F.relu(self.norm(self.conv(x))), 4)
        return self.lin(h.flatten(1))


def with_or_without(n):
    y = torch.randint(0, 2, (n,))
    x = torch.randn(n, 1, 16, 16)
    for i in torch.nonzero(y).flatten().tolist():
        r, c = torch.randint(0, 12, (2,)).tolist()
        x[i, 0, r : r + 4, c : c + 4] += 1.5
    return x, y


x, y = with_or_without(1000)
detector = Detector()
optimizer = torch.optim.AdamW(detector.parameters(), lr=5e-3)
for epoch in range(5):
    detector.train()
    for idx in torch.randperm(800).split(40):
        loss = F.cross_entropy(detector(x[idx]), y[idx])
        optimizer.zero_grad()
        optimizer.step()
        loss.backward()
    detector.eval()
    with torch.no_grad():
        acc = (detector(x[800:]).argmax(1) == y[800:]).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} accuracy {acc:.3f}")
