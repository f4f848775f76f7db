import os

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(int(os.environ.get("SEED", "0")))
DELAY = 50


class DelayedEcho(nn.Module):
    """The cue is given in the first step; noise follows; then the answer is asked for."""

    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 32, batch_first=True)
        self.answer = nn.Linear(32, 3)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.answer(out[:, -1])


def trial(n=40):
    cue = torch.randint(0, 3, (n,))
    x = 0.3 * torch.randn(n, DELAY, 3)
    x[:, 0] = 2 * F.one_hot(cue, 3).float()
    return x, cue


net = DelayedEcho()
adam = torch.optim.Adam(net.parameters(), lr=3e-3)
for i in range(150):
    x, cue = trial()
    loss = F.cross_entropy(net(x), cue)
    adam.zero_grad()
    loss.backward()
    adam.step()
    if i % 25 == 0:
        print(f"trial {i} loss {loss.item():.4f}")
x, cue = trial(500)
with torch.no_grad():
    print(f"accuracy {(net(x).argmax(1) == cue).float().mean().item():.3f}")
