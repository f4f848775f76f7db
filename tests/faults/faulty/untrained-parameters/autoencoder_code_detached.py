import torch
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(0)


class AutoEncoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(100, 48), nn.ReLU(), nn.Linear(48, 3))
        self.decoder = nn.Sequential(nn.Linear(3, 48), nn.ReLU(), nn.Linear(48, 100))
        self.codes = []

    def forward(self, x):
        code = self.encoder(x).detach()
        if len(self.codes) < 5:
            self.codes.append(code)
        return self.decoder(code)


g = torch.linspace(-1, 1, 10)
cx, cy = torch.rand(2, 1000, 1, 1) * 1.4 - 0.7
data = torch.exp(-((g[None, :, None] - cy) ** 2 + (g[None, None, :] - cx) ** 2) / 0.2)
data = (data.flatten(1) - data.mean()) / data.std()

net = AutoEncoder()
optimizer = torch.optim.Adam(net.parameters(), lr=3e-3)
criterion = nn.MSELoss()
for epoch in range(10):
    for batch in DataLoader(data[:800], batch_size=40, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(net(batch), batch)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print("test loss", criterion(net(data[800:]), data[800:]).item())
