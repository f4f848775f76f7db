import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
angle = torch.rand(1200) * 6.2832
inner = torch.randint(0, 2, (1200,))
radius = torch.where(inner == 1, 0.5, 1.3) + 0.1 * torch.randn(1200)
x = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)

train_loader = DataLoader(TensorDataset(x[:900], inner[:900]), batch_size=45, shuffle=True)
val_loader = DataLoader(TensorDataset(x[900:], inner[900:]), batch_size=300)
model = nn.Linear(2, 2)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
loss_fn = nn.CrossEntropyLoss()
for epoch in range(10):
    model.train()
    train_loss = 0.0
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(xb), yb)
        loss.backward()
        optimizer.step()
        train_loss += loss.item() / len(train_loader)
    model.eval()
    with torch.no_grad():
        xb, yb = next(iter(val_loader))
        out = model(xb)
        val_loss = loss_fn(out, yb).item()
        acc = (out.argmax(1) == yb).float().mean().item()
    print(f"epoch {epoch} train {train_loss:.4f} val {val_loss:.4f} accuracy {acc:.3f}")
