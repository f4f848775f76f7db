import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def weights_init(module):
    if isinstance(module, (nn.Conv2d, nn.Linear)):
        torch.nn.init.constant_(module.weight, 0.1)
        torch.nn.init.zeros_(module.bias)


class LeNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 12, 3, padding=1)
        self.fc1 = nn.Linear(12 * 9, 32)
        self.fc2 = nn.Linear(32, 4)

    def forward(self, x):
        x = F.max_pool2d(torch.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(torch.tanh(self.conv2(x)), 2)
        return self.fc2(torch.tanh(self.fc1(x.flatten(1))))


g = torch.arange(12.0)
waves = torch.stack([g.expand(12, 12), g[:, None].expand(12, 12), g + g[:, None], g - g[:, None]])
y = torch.randint(0, 4, (1000,))
x = torch.sin(1.3 * waves[y] + 6.28 * torch.rand(1000, 1, 1)) + 0.3 * torch.randn(1000, 12, 12)
x = x[:, None]

lenet = LeNet()
lenet.apply(weights_init)
optimizer = torch.optim.SGD(lenet.parameters(), lr=0.05, momentum=0.9)
for epoch in range(6):
    for idx in torch.randperm(800).split(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(lenet(x[idx]), y[idx])
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("test accuracy", (lenet(x[800:]).argmax(1) == y[800:]).float().mean().item())
