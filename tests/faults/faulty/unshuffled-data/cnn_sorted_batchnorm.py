import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


def render(n_each):
    g = torch.arange(12.0)
    theta = torch.arange(4).repeat_interleave(n_each)
    a = (theta * torch.pi / 4)[:, None, None]
    x = torch.sin(1.2 * (a.cos() * g + a.sin() * g[:, None]) + 6.28 * torch.rand(len(a), 1, 1))
    return (x + 0.5 * torch.randn_like(x)).unsqueeze(1), theta


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.bn2 = nn.BatchNorm2d(16)
        self.fc = nn.Linear(16 * 9, 4)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 2)
        x = F.max_pool2d(F.relu(self.bn2(self.conv2(x))), 2)
        return self.fc(x.flatten(1))


x_train, y_train = render(200)
x_val, y_val = render(50)
net = Net()
optimizer = torch.optim.Adam(net.parameters(), lr=2e-3)
for epoch in range(5):
    net.train()
    order = torch.arange(len(x_train))
    for batch in order.split(40):
        optimizer.zero_grad()
        loss = F.cross_entropy(net(x_train[batch]), y_train[batch])
        loss.backward()
        optimizer.step()
    net.eval()
    with torch.no_grad():
        logits = net(x_val)
    print(
        f"epoch {epoch} loss {loss.item():.4f} val loss {F.cross_entropy(logits, y_val):.4f} "
        f"val accuracy {(logits.argmax(1) == y_val).float().mean():.3f}"
    )
