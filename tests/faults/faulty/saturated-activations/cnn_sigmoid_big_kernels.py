import torch
import torch.nn.functional as F
from torch import nn


def bars(n):
    y = torch.randint(0, 2, (n,))
    img = 0.3 * torch.randn(n, 1, 12, 12)
    pos = torch.randint(0, 10, (n,))
    for i in range(n):
        if y[i]:
            img[i, 0, pos[i] : pos[i] + 2, :] += 1.5
        else:
            img[i, 0, :, pos[i] : pos[i] + 2] += 1.5
    return img, y


class SigmoidNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 5, padding=2)
        self.c2 = nn.Conv2d(8, 16, 5, padding=2)
        self.fc1 = nn.Linear(16 * 9, 48)
        self.fc2 = nn.Linear(48, 2)
        for module in (self.c1, self.c2, self.fc1):
            nn.init.normal_(module.weight, 0.0, 10.0)
            nn.init.zeros_(module.bias)

    def forward(self, x):
        x = F.avg_pool2d(torch.sigmoid(self.c1(x)), 2)
        x = F.avg_pool2d(torch.sigmoid(self.c2(x)), 2)
        x = torch.sigmoid(self.fc1(x.view(x.size(0), -1)))
        return self.fc2(x)


torch.manual_seed(0)
X, Y = bars(1000)
model = SigmoidNet()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(8):
    perm = torch.randperm(800)
    for i in range(0, 800, 40):
        batch = perm[i : i + 40]
        optimizer.zero_grad()
        loss = F.cross_entropy(model(X[batch]), Y[batch])
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        acc = (model(X[800:]).argmax(1) == Y[800:]).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} accuracy {acc:.3f}")
