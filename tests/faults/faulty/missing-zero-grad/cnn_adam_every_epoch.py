import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


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
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


# each quadrant may hold a bright spot: the class says which diagonal pair is brighter
y = torch.randint(0, 4, (1000,))
x = torch.randn(1000, 1, 12, 12) * 0.8
for i in range(1000):
    r, c = divmod(int(y[i]), 2)
    top, left = torch.randint(0, 4, (2,)).tolist()
    x[i, 0, 6 * r + top : 6 * r + top + 2, 6 * c + left : 6 * c + left + 2] += 1.8

net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
for epoch in range(8):
    optimizer.zero_grad()
    for idx in torch.randperm(800).split(20):
        loss = F.cross_entropy(net(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}, loss {loss.item():.4f}")
with torch.no_grad():
    print("accuracy", (net(x[800:]).argmax(1) == y[800:]).float().mean().item())
