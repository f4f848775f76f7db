import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

RATE = 1.0
torch.manual_seed(0)


def patches(n, size=12):
    y = torch.randint(0, 5, (n,))
    g = torch.arange(float(size))
    angle = (y * torch.pi / 5)[:, None, None]
    x = torch.sin(1.2 * (angle.cos() * g + angle.sin() * g[:, None]) + 6.28 * torch.rand(n, 1, 1))
    return (x + 0.4 * torch.randn_like(x)).unsqueeze(1), y


x, y = patches(1000)
loader = DataLoader(TensorDataset(x[:800], y[:800]), batch_size=40, shuffle=True)
features = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
)
classifier = nn.Sequential(nn.Linear(216, 48), nn.ReLU(), nn.Linear(48, 5))
network = nn.Sequential(features, classifier)
optimizer = torch.optim.SGD(network.parameters(), lr=RATE, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(6):
    seen = 0.0
    for image, target in loader:
        loss = criterion(network(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += loss.item() / len(loader)
    print(f"epoch {epoch} mean loss {seen:.4f}")
with torch.no_grad():
    print("accuracy", (network(x[800:]).argmax(1) == y[800:]).float().mean().item())
