"""Is the trend of the last twenty quotes upwards?"""

import torch
from torch import nn

torch.manual_seed(0)


def quotes(n, length=20):
    drift = torch.randn(n, 1) * 20
    price = 25000 + 300 * torch.randn(n, 1) + drift * torch.arange(length)
    price = price + 15 * torch.randn(n, length)
    up = (drift > 0).float().squeeze(1)
    return price.unsqueeze(-1), up


class TrendLSTM(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 24, batch_first=True)
        self.fc = nn.Linear(24, 1)

    def forward(self, x):
        _, (h, _) = self.lstm(x)
        return self.fc(h.squeeze(0)).squeeze(-1)


model = TrendLSTM()
criterion = nn.BCEWithLogitsLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(200):
    x, y = quotes(48)
    loss = criterion(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 25 == 0:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    x, y = quotes(500)
    print("accuracy", ((model(x) > 0).float() == y).float().mean().item())
