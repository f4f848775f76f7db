"""Running sum of a noisy signal with a ReLU RNN."""

import torch
import torch.nn as nn

torch.manual_seed(0)


class SumRNN(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.rnn = nn.RNN(1, hidden, nonlinearity="relu", batch_first=True)
        self.fc = nn.Linear(hidden, 1)
        for name, p in self.rnn.named_parameters():
            if "weight" in name:
                nn.init.normal_(p, std=0.35)

    def forward(self, x):
        out, h = self.rnn(x)
        return self.fc(h[-1]).squeeze(-1)


def get_batch(n=32, length=25):
    x = torch.randn(n, length, 1) * 0.5
    return x, x.sum(dim=(1, 2)) / length**0.5


rnn = SumRNN()
optim = torch.optim.SGD(rnn.parameters(), lr=0.01)
mse = nn.MSELoss()
history = []
for step in range(150):
    x, y = get_batch()
    optim.zero_grad()
    loss = mse(rnn(x), y)
    loss.backward()
    optim.step()
    history.append(loss.item())
    if step % 25 == 0:
        print(step, loss.item())
print("mean loss of the last 20 steps", sum(history[-20:]) / 20)
