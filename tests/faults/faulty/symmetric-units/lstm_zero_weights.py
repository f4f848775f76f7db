import torch
from torch import nn

torch.manual_seed(0)


class Predictor(nn.Module):
    """Next value of two mixed waves."""

    def __init__(self, hidden=32):
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.read = nn.Linear(hidden, 2)
        self.reset()

    def reset(self):
        with torch.no_grad():
            for p in self.parameters():
                p.fill_(0.02)

    def forward(self, x):
        return self.read(self.lstm(x)[0])


def waves(n, length=24):
    t = torch.arange(length + 1.0)
    f = torch.rand(n, 2, 1) * 0.5 + 0.2
    s = torch.sin(f * t + 6.28 * torch.rand(n, 2, 1)).transpose(1, 2)
    return s[:, :-1], s[:, 1:]


predictor = Predictor()
optimizer = torch.optim.Adam(predictor.parameters(), lr=1e-2)
mse = nn.MSELoss()
for it in range(200):
    x, target = waves(32)
    optimizer.zero_grad()
    loss = mse(predictor(x), target)
    loss.backward()
    optimizer.step()
    if it % 40 == 0:
        print(f"{it} {loss.item():.4f}")
with torch.no_grad():
    x, target = waves(200)
    print("held-out loss", mse(predictor(x), target).item())
