import torch
from torch import nn

torch.manual_seed(0)
SEQ, BATCH = 30, 32


def batch():
    freq = torch.rand(BATCH, 1) * 0.3 + 0.15
    phase = torch.rand(BATCH, 1) * 6.28
    t = torch.arange(SEQ + 1).float()
    wave = torch.sin(freq * t + phase) + 0.03 * torch.randn(BATCH, SEQ + 1)
    return wave[:, :-1, None], wave[:, 1:, None]


class Forecaster(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.rnn = nn.RNN(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        out, _ = self.rnn(x)
        return self.head(out)


model = Forecaster()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
mse = nn.MSELoss()
for it in range(200):
    x, target = batch()
    loss = mse(model(x), target)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if it % 40 == 0:
        print(f"iter {it:4d} mse {loss.item():.4f}")

model.eval()
with torch.no_grad():
    x, target = batch()
    print("held-out mse", mse(model(x), target).item())
