import torch
import torch.nn.functional as F
from torch import nn

N_TRAIN = 24
torch.manual_seed(0)


def faces(n):
    y = torch.randint(0, 2, (n,))
    x = torch.randn(n, 1, 14, 14)
    for i in range(n):
        r, c = torch.randint(0, 8, (2,)).tolist()
        if y[i]:
            x[i, 0, r : r + 5, c + 2] += 2.0
        else:
            x[i, 0, r + 2, c : c + 5] += 2.0
    return x, y


class BigNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 32, 3, padding=1)
        self.conv2 = nn.Conv2d(32, 32, 3, padding=1)
        self.fc1 = nn.Linear(32 * 9, 128)
        self.fc2 = nn.Linear(128, 2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


x, y = faces(N_TRAIN)
x_val, y_val = faces(300)
net = BigNet()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
step = 0
while step < 160:
    net.train()
    for batch in torch.randperm(N_TRAIN).split(24):
        loss = F.cross_entropy(net(x[batch]), y[batch])
        opt.zero_grad()
        loss.backward()
        opt.step()
        step += 1
        if step % 16 == 0:
            net.eval()
            with torch.no_grad():
                val = F.cross_entropy(net(x_val), y_val).item()
            net.train()
            print(f"step {step} loss {loss.item():.4f} val {val:.4f}")
