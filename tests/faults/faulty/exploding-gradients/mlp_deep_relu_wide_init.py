import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
x = torch.randn(1200, 16)
y = (x[:, 0] * x[:, 1] + x[:, 2] > 0).long()


def init_weights(m):
    if isinstance(m, nn.Linear):
        nn.init.normal_(m.weight, std=0.4)
        nn.init.zeros_(m.bias)


blocks = [nn.Linear(16, 96), nn.ReLU()]
for _ in range(10):
    blocks += [nn.Linear(96, 96), nn.ReLU()]
net = nn.Sequential(*blocks, nn.Linear(96, 2))
net.apply(init_weights)

loader = DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=50, shuffle=True)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.02)
for epoch in range(8):
    for i, (xb, yb) in enumerate(loader):
        loss = criterion(net(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if i % 10 == 0:
            print(f"epoch {epoch} batch {i} loss {loss.item():.4g}")
with torch.no_grad():
    print("accuracy", (net(x[1000:]).argmax(1) == y[1000:]).float().mean().item())
