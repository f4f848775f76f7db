import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


def wafers(n):
    y = (torch.rand(n) < 0.02).float()
    x = torch.randn(n, 1, 12, 12)
    for i in torch.nonzero(y).flatten().tolist():
        r, c = torch.randint(0, 9, (2,)).tolist()
        x[i, 0, r : r + 3, c : c + 3] += 2.0
    return x, y


class WaferNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 12, 3, padding=1)
        self.conv2 = nn.Conv2d(12, 12, 3, padding=1)
        self.fc = nn.Linear(12, 1)

    def forward(self, x):
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.fc(x.amax(dim=(2, 3))).squeeze(1)


x_train, y_train = wafers(2400)
x_test, y_test = wafers(1200)
net = WaferNet()
optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
for epoch in range(5):
    for idx in torch.randperm(len(x_train)).split(60):
        logits = net(x_train[idx])
        loss = F.binary_cross_entropy_with_logits(logits, y_train[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    flagged = net(x_test) > 0
print("accuracy", (flagged == y_test.bool()).float().mean().item())
print("recall", flagged[y_test == 1].float().mean().item())
