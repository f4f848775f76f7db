import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class DeepNet(nn.Module):
    def __init__(self, sizes=(2, 4, 4), classes=3):
        super().__init__()
        self.layers = [nn.Linear(a, b) for a, b in zip(sizes[:-1], sizes[1:], strict=True)]
        self.classifier = nn.Linear(sizes[-1], classes)

    def forward(self, x):
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
        return self.classifier(x)


r = torch.rand(1500) * 3
angle = torch.rand(1500) * 6.2832
x = torch.stack([r * angle.cos(), r * angle.sin()], 1)
y = r.long().clamp(max=2)
net = DeepNet(sizes=(2, 16, 16))
optimizer = torch.optim.Adam(net.parameters(), lr=0.01)
for epoch in range(10):
    for idx in torch.randperm(1200).split(60):
        loss = F.cross_entropy(net(x[idx]), y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.3f}")
with torch.no_grad():
    print("accuracy", (net(x[1200:]).argmax(1) == y[1200:]).float().mean().item())
