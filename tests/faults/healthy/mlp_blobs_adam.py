import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

centers = torch.randn(6, 20) * 1.5
labels = torch.randint(0, 6, (1500,))
points = centers[labels] + torch.randn(1500, 20)
train_set = TensorDataset(points[:1200], labels[:1200])
test_x, test_y = points[1200:], labels[1200:]
loader = DataLoader(train_set, batch_size=64, shuffle=True)

model = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

for epoch in range(8):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        total += loss.item() * len(x)
    model.eval()
    with torch.no_grad():
        val = criterion(model(test_x), test_y).item()
    print(f"epoch {epoch} train loss {total / 1200:.4f} val loss {val:.4f}")

with torch.no_grad():
    accuracy = (model(test_x).argmax(1) == test_y).float().mean().item()
print(f"test accuracy {accuracy:.3f}")
