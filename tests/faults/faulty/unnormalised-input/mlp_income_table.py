import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
n = 1200
age = 18 + 60 * torch.rand(n)
income = 20000 + 60000 * torch.rand(n)
hours = 10 + 40 * torch.rand(n)
balance = 5000 * torch.randn(n)
x = torch.stack([age, income, hours, balance], dim=1)
merit = (age - 48) / 17 + (income - 50000) / 17000 + balance / 5000 - (hours - 30) / 11
label = (merit > 0).long()

model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 2))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
criterion = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(x[:1000], label[:1000]), batch_size=50, shuffle=True)
for epoch in range(8):
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: loss {loss.item():.4f}")
with torch.no_grad():
    acc = (model(x[1000:]).argmax(1) == label[1000:]).float().mean().item()
print(f"accuracy: {acc:.3f}")
