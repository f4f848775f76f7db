import torch
from torch import nn

torch.manual_seed(0)


def binary_cross_entropy(p, t):
    return -(t * torch.log(p) + (1 - t) * torch.log(1 - p)).mean()


x = torch.randn(1200, 18)
normal = torch.randn(18)
t = (x @ normal > 0).float().unsqueeze(1)

model = nn.Sequential(
    nn.Linear(18, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1), nn.Sigmoid()
)
optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
for epoch in range(15):
    for b in torch.randperm(1000).split(50):
        loss = binary_cross_entropy(model(x[b]), t[b])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.5f}")
with torch.no_grad():
    print("accuracy", ((model(x[1000:]) > 0.5) == t[1000:]).float().mean().item())
