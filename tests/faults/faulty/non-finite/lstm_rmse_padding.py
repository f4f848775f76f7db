"""Sequences padded to one length; the error of every sequence is its root mean square."""

import torch
import torch.nn as nn

torch.manual_seed(0)
MAX_LEN = 18


def make_batch(n=32):
    lengths = torch.randint(0, MAX_LEN + 1, (n,))
    mask = (torch.arange(MAX_LEN)[None] < lengths[:, None]).float()
    steps = torch.randn(n, MAX_LEN) * mask
    return steps.unsqueeze(-1), steps.cumsum(1) / 4 * mask, mask


class Integrator(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(1, 32, batch_first=True)
        self.out = nn.Linear(32, 1)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.out(h).squeeze(-1)


def rmse(pred, target, mask):
    error = ((pred - target) ** 2 * mask).sum(1) / mask.sum(1).clamp(min=1)
    return torch.sqrt(error).mean()


model = Integrator()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(150):
    x, y, mask = make_batch()
    loss = rmse(model(x), y, mask)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 15 == 0:
        print(f"step {step} rmse {loss.item():.4f}")
print("last rmse", loss.item())
