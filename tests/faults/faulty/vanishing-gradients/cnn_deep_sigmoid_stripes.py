import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvNet(nn.Module):
    def __init__(self, channels=12, depth=9):
        super().__init__()
        sizes = [1] + [channels] * depth
        self.convs = nn.ModuleList(
            nn.Conv2d(a, b, 3, padding=1) for a, b in zip(sizes[:-1], sizes[1:], strict=True)
        )
        self.fc = nn.Linear(channels * 9, 4)

    def forward(self, x):
        for i, conv in enumerate(self.convs):
            x = torch.sigmoid(conv(x))
            if i in (1, 3):
                x = F.avg_pool2d(x, 2)
        return self.fc(x.flatten(1))


def gratings(n):
    y = torch.randint(0, 4, (n,))
    g = torch.arange(12.0)
    waves = torch.stack(
        [g.expand(12, 12), g[:, None].expand(12, 12), g + g[:, None], g - g[:, None]]
    )
    x = torch.sin(1.2 * waves[y] + 6.28 * torch.rand(n, 1, 1)) + 0.3 * torch.randn(n, 12, 12)
    return x.unsqueeze(1), y


torch.manual_seed(0)
net = ConvNet()
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
x_train, y_train = gratings(800)
for epoch in range(5):
    for batch in torch.randperm(800).split(40):
        loss = F.cross_entropy(net(x_train[batch]), y_train[batch])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
x_test, y_test = gratings(200)
with torch.no_grad():
    print("accuracy", (net(x_test).argmax(1) == y_test).float().mean().item())
