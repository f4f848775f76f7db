import torch
from torch import nn
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
centre = torch.randn(8, 16)
y = torch.randint(0, 8, (1400,))
x = centre[y] + 0.8 * torch.randn(1400, 16)
train = DataLoader(TensorDataset(x[:1120], y[:1120]), batch_size=40, shuffle=True)

model = nn.Sequential(nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
scheduler = StepLR(optimizer, step_size=3, gamma=0.1)
criterion = nn.CrossEntropyLoss()
for epoch in range(8):
    for data, target in train:
        optimizer.zero_grad()
        loss = criterion(model(data), target)
        loss.backward()
        optimizer.step()
        scheduler.step()
    with torch.no_grad():
        acc = (model(x[1120:]).argmax(1) == y[1120:]).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} test acc {acc:.4f}")
