import torch
from torch import nn

torch.manual_seed(0)


class MultiLabel(nn.Module):
    def __init__(self, features, labels):
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(features, 64),
            nn.ReLU(),
            nn.Linear(64, labels),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.net(x)


x = torch.randn(1500, 12)
w = torch.randn(12, 6) / 12**0.5
tags = (x @ w > 0.6).float()
model = MultiLabel(12, 6)
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(8):
    model.train()
    for idx in torch.randperm(1200).split(48):
        optimizer.zero_grad()
        loss = criterion(model(x[idx]), tags[idx])
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        val = criterion(model(x[1200:]), tags[1200:]).item()
    print(f"epoch {epoch} loss {loss.item():.4f} val {val:.4f}")
