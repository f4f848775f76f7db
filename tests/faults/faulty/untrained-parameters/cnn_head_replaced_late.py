import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class SmallNet(nn.Module):
    def __init__(self, classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 9, classes)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


def load(n):
    y = torch.randint(0, 6, (n,))
    x = 0.5 * torch.randn(n, 1, 12, 12)
    for i in range(n):
        r, c = divmod(int(y[i]), 3)
        x[i, 0, 6 * r + 1 : 6 * r + 5, 4 * c : 4 * c + 3] += torch.rand(()) * 0.8 + 0.4
    return x, y


net = SmallNet()
for name, p in net.named_parameters():
    if name.startswith("conv"):
        p.requires_grad_(False)
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
net.fc = nn.Linear(16 * 9, 6)

x_train, y_train = load(900)
for epoch in range(6):
    for idx in torch.randperm(900).split(45):
        loss = F.cross_entropy(net(x_train[idx]), y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch + 1} train loss {loss.item():.4f}")
x_test, y_test = load(300)
with torch.no_grad():
    print("accuracy", (net(x_test).argmax(1) == y_test).float().mean().item())
