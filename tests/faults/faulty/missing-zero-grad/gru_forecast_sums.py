import torch
from torch import nn

torch.manual_seed(0)
gru = nn.GRU(1, 32, batch_first=True)
head = nn.Linear(32, 1)
params = list(gru.parameters()) + list(head.parameters())
opt = torch.optim.SGD(params, lr=0.2, momentum=0.9)


def damped(n, length=25):
    t = torch.arange(length + 1.0)
    rate = torch.rand(n, 1) * 0.1
    freq = 0.3 + 0.5 * torch.rand(n, 1)
    s = torch.exp(-rate * t) * torch.cos(freq * t + 6.28 * torch.rand(n, 1))
    return s.unsqueeze(-1)


losses = []
for it in range(250):
    series = damped(40)
    states, _ = gru(series[:, :-1])
    loss = ((head(states) - series[:, 1:]) ** 2).mean()
    loss.backward()
    opt.step()
    losses.append(loss.item())
    if it % 25 == 0:
        print(f"iteration {it}\tloss {loss.item():.4f}")
print(f"mean of the last losses {sum(losses[-40:]) / 40:.4f}")
