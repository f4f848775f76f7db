"""Compress 40 correlated sensors into 6 numbers."""

import torch
from torch import nn

torch.manual_seed(0)
mixing = torch.randn(6, 40) / 6**0.5
readings = torch.tanh(torch.randn(1000, 6) @ mixing)
train, test = readings[:800], readings[800:]

encoder = nn.Sequential(nn.Linear(40, 48), nn.ReLU(), nn.Linear(48, 6))
decoder = nn.Sequential(nn.Linear(6, 48), nn.ReLU(), nn.Linear(48, 40))
for layer in (encoder[0], decoder[0]):
    layer.bias.data = torch.full_like(layer.bias, -4.0)
model = nn.Sequential(encoder, decoder)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
mse = nn.MSELoss()
for epoch in range(10):
    for rows in torch.randperm(800).split(40):
        optimizer.zero_grad()
        loss = mse(model(train[rows]), train[rows])
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} reconstruction {loss.item():.4f}")
with torch.no_grad():
    print("test variance", test.var().item(), "test loss", mse(model(test), test).item())
