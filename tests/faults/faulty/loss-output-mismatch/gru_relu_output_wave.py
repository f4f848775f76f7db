import torch
from torch import nn

torch.manual_seed(0)


class Next(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 24, batch_first=True)
        self.regress = nn.Sequential(nn.Linear(24, 1), nn.ReLU())

    def forward(self, x):
        return self.regress(self.gru(x)[0])


t = torch.arange(26.0)
freq = 0.2 + 0.4 * torch.rand(600, 1)
series = (torch.sin(freq * t + 6.28 * torch.rand(600, 1)) + 0.05 * torch.randn(600, 26))[..., None]

model = Next()
opt = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(10):
    total = 0.0
    for idx in torch.randperm(500).split(25):
        chunk = series[idx]
        loss = nn.functional.mse_loss(model(chunk[:, :-1]), chunk[:, 1:])
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() / 20
    print(f"epoch {epoch} mse {total:.4f}")
with torch.no_grad():
    print("test", nn.functional.mse_loss(model(series[500:, :-1]), series[500:, 1:]).item())
