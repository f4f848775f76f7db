import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(0)


class Residual(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.branch = nn.Sequential(
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, width),
        )
        for m in self.branch:
            if isinstance(m, nn.Linear):
                nn.init.kaiming_normal_(m.weight, mode="fan_in")

    def forward(self, x):
        return x + self.branch(x)


model = nn.Sequential(
    nn.Linear(12, 64), *[Residual(64) for _ in range(14)], nn.Linear(64, 1), nn.Flatten(0)
)
teacher = nn.Sequential(nn.Linear(12, 24), nn.Tanh(), nn.Linear(24, 1), nn.Flatten(0))
x = torch.randn(1000, 12)
with torch.no_grad():
    y = 3 * teacher(x)
    y = (y - y.mean()) / y.std()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
for epoch in range(6):
    for idx in torch.randperm(900).split(45):
        loss = F.mse_loss(model(x[idx]), y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4g}")
with torch.no_grad():
    print(f"test loss {F.mse_loss(model(x[900:]), y[900:]).item():.4g}")
