import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


def adding_problem(n, length=12):
    values = torch.rand(n, length)
    markers = torch.zeros(n, length)
    for row in markers:
        row[torch.randperm(length)[:2]] = 1.0
    x = torch.stack([values - 0.5, markers], dim=-1)
    return x, (values * markers).sum(1) - 1.0


class Adder(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 48, batch_first=True)
        self.norm = nn.LayerNorm(48)
        self.out = nn.Linear(48, 1)

    def forward(self, x):
        states, _ = self.gru(x)
        return self.out(self.norm(states[:, -1])).squeeze(-1)


model = Adder()
opt = torch.optim.AdamW(model.parameters(), lr=5e-3, weight_decay=0.01)
x, y = adding_problem(2000)
x_test, y_test = adding_problem(300)
step = 0
for epoch in range(6):
    model.train()
    for idx in torch.randperm(2000).split(50):
        opt.zero_grad()
        loss = F.mse_loss(model(x[idx]), y[idx])
        loss.backward()
        opt.step()
        step += 1
    model.eval()
    with torch.no_grad():
        val = F.mse_loss(model(x_test), y_test)
    print(f"epoch {epoch} step {step} train {loss.item():.4f} val {val.item():.4f}")
print("variance of the target", y_test.var().item())
print("final mse", val.item())
