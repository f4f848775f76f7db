import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
means = torch.randn(5, 20) * 1.2
y = torch.arange(5).repeat_interleave(80)
x = means[y] + torch.randn(400, 20)
x, y = x[torch.randperm(len(x))], y[torch.randperm(len(y))]
x_train, y_train, x_val, y_val = x[:300], y[:300], x[300:], y[300:]

model = nn.Sequential(
    nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 5)
)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loader = DataLoader(TensorDataset(x_train, y_train), batch_size=30, shuffle=True)
for epoch in range(25):
    model.train()
    total = 0.0
    for xb, yb in loader:
        optimizer.zero_grad()
        loss = criterion(model(xb), yb)
        loss.backward()
        optimizer.step()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        out = model(x_val)
        val_loss, acc = criterion(out, y_val).item(), (out.argmax(1) == y_val).float().mean().item()
    print(f"epoch {epoch} train {total / 10:.4f} val {val_loss:.4f} accuracy {acc:.3f}")
