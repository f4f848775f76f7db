"""Will the barometer rise? Pressures in hPa go straight into a recurrent network."""

import torch
from torch import nn

torch.manual_seed(0)
device = torch.device("cpu")


def pressure(n, length=20):
    trend = torch.randn(n, 1) * 0.8
    wiggle = torch.randn(n, length).cumsum(1) * 0.8
    series = 1013 + 8 * torch.randn(n, 1) + trend * torch.arange(length) + wiggle
    return series.unsqueeze(-1), (series[:, -1] - series[:, 0]) / 10.0


class PressureRNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(1, 32, batch_first=True)
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.rnn(x)[0][:, -1]).squeeze(1)


net = PressureRNN().to(device)
optimizer = torch.optim.Adam(net.parameters(), lr=5e-3)
for step in range(200):
    x, y = pressure(48)
    x, y = x.to(device), y.to(device)
    loss = nn.functional.mse_loss(net(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step} mse {loss.item():.4f}")
with torch.no_grad():
    x, y = pressure(400)
    x, y = x.to(device), y.to(device)
    print("variance of y", y.var().item())
    print("test mse", nn.functional.mse_loss(net(x), y).item())
