import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
n_train = 60
genes = torch.randn(n_train + 300, 80)
effect = torch.randn(80) * (torch.arange(80) < 12)
ill = (genes @ effect + 1.5 * torch.randn(len(genes)) > 0).long()
train = TensorDataset(genes[:n_train], ill[:n_train])
x_val, y_val = genes[n_train:], ill[n_train:]

model = nn.Sequential(
    nn.Linear(80, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 2)
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
criterion = nn.CrossEntropyLoss()
loader = DataLoader(train, batch_size=max(10, n_train // 6), shuffle=True)
for epoch in range(30):
    model.train()
    losses = []
    for x, y in loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        val_loss = criterion(model(x_val), y_val).item()
    print(f"epoch {epoch} train loss {sum(losses) / len(losses):.4f} val loss {val_loss:.4f}")
