import torch
from torch import nn

config = {"hidden": 24, "lr": 1e-6, "steps": 180, "batch": 32, "length": 20}
torch.manual_seed(0)


def wave_batch():
    t = torch.arange(config["length"] + 1.0)
    w = 0.2 + 0.5 * torch.rand(config["batch"], 1)
    s = torch.sin(w * t + 6.28 * torch.rand(config["batch"], 1)).unsqueeze(-1)
    return s[:, :-1], s[:, 1:]


class Forecast(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, num_layers=2, batch_first=True)
        self.proj = nn.Linear(hidden, 1)

    def forward(self, x):
        y, _ = self.lstm(x)
        return self.proj(y)


model = Forecast(config["hidden"])
opt = torch.optim.AdamW(model.parameters(), lr=config["lr"])
for step in range(config["steps"]):
    x, y = wave_batch()
    loss = nn.functional.mse_loss(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 30 == 29:
        print(f"step {step + 1} mse {loss.item():.5f}")
