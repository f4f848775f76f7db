import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class DefectNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 8, 3, padding=1)
        self.score = nn.Conv2d(8, 1, 1)

    def forward(self, x):
        h = F.max_pool2d(F.relu(self.conv1(x)), 2)
        heat = self.score(F.relu(self.conv2(h)))
        return heat.sum(dim=(2, 3)).clamp(0, 1)


def plates(n):
    scratched = torch.randint(0, 2, (n, 1)).float()
    img = 0.5 * torch.randn(n, 1, 12, 12)
    for i in torch.nonzero(scratched[:, 0]).flatten().tolist():
        img[i, 0, :, int(torch.randint(0, 12, (1,)))] += 1.0
    return img, scratched


x, y = plates(900)
net = DefectNet()
criterion = nn.BCELoss()
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for epoch in range(8):
    for b in torch.randperm(720).split(36):
        loss = criterion(net(x[b]), y[b])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print("test loss", criterion(net(x[720:]), y[720:]).item())
