import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


class OrientationNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc = nn.Linear(16 * 9, 3)

    def forward(self, x):
        x = F.avg_pool2d(F.elu(self.conv1(x)), 2)
        x = F.avg_pool2d(F.elu(self.conv2(x)), 2)
        return self.fc(x.flatten(1))


def make(n):
    g = torch.arange(12.0)
    y = torch.randint(0, 3, (n,))
    w = torch.stack([g.expand(12, 12), g[:, None].expand(12, 12), g + g[:, None]])[y]
    return (torch.sin(w + 6.28 * torch.rand(n, 1, 1)) + 0.4 * torch.randn(n, 12, 12))[:, None], y


torch.manual_seed(0)
train_loader = DataLoader(TensorDataset(*make(900)), batch_size=45, shuffle=True)
x_val, y_val = make(300)
model = OrientationNet()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, maximize=True)
for epoch in range(5):
    for i, (x, y) in enumerate(train_loader):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if i % 10 == 0:
            print(f"epoch {epoch} it {i} loss {loss.item():.4f}")
with torch.no_grad():
    print("validation accuracy", (model(x_val).argmax(1) == y_val).float().mean().item())
