import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
signals = torch.randn(1200, 6)
returns = torch.tanh(signals[:, :1] * 1.5) + 0.5 * signals[:, 1:2] * signals[:, 2:3]
returns = returns + 0.05 * torch.randn_like(returns)


class ReturnModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(6, 48)
        self.fc2 = nn.Linear(48, 48)
        self.fc3 = nn.Linear(48, 1)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return F.relu(self.fc3(x))


model = ReturnModel()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loader = DataLoader(TensorDataset(signals[:1000], returns[:1000]), batch_size=50, shuffle=True)
for epoch in range(8):
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        val = criterion(model(signals[1000:]), returns[1000:]).item()
    print(f"epoch {epoch} train {loss.item():.4f} val {val:.4f}")
