import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.randn(1000, 8)
y = (x[:, 0] ** 2 + x[:, 1] * x[:, 2] - 1).unsqueeze(1)
net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
mse = nn.MSELoss()
sgd = torch.optim.SGD(net.parameters(), lr=1.0)
for epoch in range(10):
    for i in range(0, 800, 40):
        loss = mse(net(x[i : i + 40]), y[i : i + 40])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    print(f"epoch {epoch} loss {loss.item():.4g}")
with torch.no_grad():
    print("test loss", mse(net(x[800:]), y[800:]).item())
