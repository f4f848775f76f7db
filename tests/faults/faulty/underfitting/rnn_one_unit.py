import torch
from torch import nn

torch.manual_seed(0)
hidden_size = 1


class SeqModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(2, hidden_size, batch_first=True)
        self.linear = nn.Linear(hidden_size, 2)

    def forward(self, x):
        return self.linear(self.rnn(x)[0])


def orbit(n, length=20):
    t = torch.arange(length + 1.0)
    angle = (0.3 + 0.5 * torch.rand(n, 1)) * t + 6.28 * torch.rand(n, 1)
    path = torch.stack([angle.cos(), torch.sin(2 * angle)], dim=-1)
    return path[:, :-1], path[:, 1:]


model = SeqModel()
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
x, y = orbit(600)
x_val, y_val = orbit(150)
for epoch in range(12):
    model.train()
    for idx in torch.randperm(600).split(30):
        loss = nn.functional.mse_loss(model(x[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        val = nn.functional.mse_loss(model(x_val), y_val)
    print(f"epoch {epoch} train mse {loss.item():.4f} val mse {val.item():.4f}")
