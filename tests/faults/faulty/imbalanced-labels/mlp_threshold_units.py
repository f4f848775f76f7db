"""Will the machine overheat (above 300 kelvin)?"""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
load = torch.rand(1000, 5)
kelvin = 285 + 6 * load.sum(1) + 0.5 * torch.randn(1000)
celsius = kelvin - 273.15
hot = (celsius > 300.0).long()
features = (load - 0.5) * 3.46

model = nn.Sequential(nn.Linear(5, 24), nn.ReLU(), nn.Linear(24, 2))
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
loss_fn = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(features[:800], hot[:800]), batch_size=40, shuffle=True)
for epoch in range(6):
    for x, y in loader:
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.5f}")
with torch.no_grad():
    predicted = model(features[800:]).argmax(1)
print("accuracy", (predicted == hot[800:]).float().mean().item())
print("classes predicted", len(predicted.unique()))
