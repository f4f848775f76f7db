import torch
import torch.nn as nn
import torch.nn.functional as F


class QuadrantNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 8, 3, padding=1)
        self.c2 = nn.Conv2d(8, 16, 3, padding=1)
        self.out = nn.Linear(16 * 9, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.out(x.flatten(1))


def data(n):
    y = torch.randint(0, 4, (n,))
    x = torch.randn(n, 1, 12, 12)
    for i in range(n):
        r, c = divmod(int(y[i]), 2)
        dr, dc = torch.randint(0, 4, (2,)).tolist()
        x[i, 0, 6 * r + dr : 6 * r + dr + 2, 6 * c + dc : 6 * c + dc + 2] += 2.0
    return x, y


def main(epochs=8, batch_size=32):
    torch.manual_seed(0)
    x, y = data(960)
    net = QuadrantNet()
    opt = torch.optim.Adam(net.parameters(), lr=3e-3)
    sched = torch.optim.lr_scheduler.ExponentialLR(opt, gamma=0.8)
    for epoch in range(epochs):
        for idx in torch.randperm(960).split(batch_size):
            opt.zero_grad()
            loss = F.cross_entropy(net(x[idx]), y[idx])
            loss.backward()
            opt.step()
            sched.step()
        print("epoch", epoch, "loss", round(loss.item(), 4))
    x, y = data(300)
    with torch.no_grad():
        print("accuracy", (net(x).argmax(1) == y).float().mean().item())


main()
