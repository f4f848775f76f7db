import torch
from torch import nn

torch.manual_seed(0)


def one_hot(labels, n):
    return torch.eye(n)[labels]


def cross_entropy(p, t):
    return -(t * torch.log(p)).sum(dim=1).mean()


N_CLASSES = 6
proto = torch.randn(N_CLASSES, 18) * 4
labels = torch.randint(0, N_CLASSES, (1200,))
x = proto[labels] + torch.randn(1200, 18)
t = one_hot(labels, N_CLASSES)

model = nn.Sequential(nn.Linear(18, 64), nn.ReLU(), nn.Linear(64, N_CLASSES), nn.Softmax(dim=1))
optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
for epoch in range(15):
    for b in torch.randperm(1000).split(50):
        loss = cross_entropy(model(x[b]), t[b])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.5f}")
with torch.no_grad():
    print("accuracy", (model(x[1000:]).argmax(1) == labels[1000:]).float().mean().item())
