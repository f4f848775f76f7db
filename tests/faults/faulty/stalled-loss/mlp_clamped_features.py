"""Customer churn; outliers are cut before training."""

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
LIMITS = (-3.0, 3.0)
features = torch.randn(1200, 14)
weights = torch.randn(14)
churn = (features @ weights + torch.randn(1200) > 0).float()
features = features.clamp(min=LIMITS[0], max=LIMITS[0])


class ChurnNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(14, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1)
        )

    def forward(self, x):
        return self.layers(x).squeeze(-1)


model = ChurnNet()
loader = DataLoader(TensorDataset(features[:1000], churn[:1000]), batch_size=40, shuffle=True)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.BCEWithLogitsLoss()
for epoch in range(6):
    epoch_loss = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() / len(loader)
    print(f"epoch {epoch} loss {epoch_loss:.4f}")
model.eval()
with torch.no_grad():
    predicted = model(features[1000:]) > 0
print("accuracy", (predicted == churn[1000:].bool()).float().mean().item())
