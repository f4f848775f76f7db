"""The classic: one hidden sigmoid layer, plain gradient descent."""

import torch
from torch import nn

torch.manual_seed(0)
num = torch.rand(600, 2) * 2 - 1
label = ((num**2).sum(1) < 0.6).float().unsqueeze(1)

net = nn.Sequential(nn.Linear(2, 16), nn.Sigmoid(), nn.Linear(16, 1), nn.Sigmoid())
for layer in (net[0], net[2]):
    nn.init.xavier_normal_(layer.weight, gain=4.0)
    nn.init.zeros_(layer.bias)
sgd = torch.optim.SGD(net.parameters(), lr=1.0, momentum=0.9)
mse = nn.MSELoss()
for epoch in range(20):
    for rows in torch.randperm(500).split(50):
        sgd.zero_grad()
        loss = mse(net(num[rows]), label[rows])
        loss.backward()
        sgd.step()
    if epoch % 4 == 3:
        print("epoch", epoch + 1, "loss", round(loss.item(), 4))
with torch.no_grad():
    right = ((net(num[500:]) > 0.5).float() == label[500:]).float().mean()
print("accuracy", right.item())
