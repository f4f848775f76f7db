import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

# 70 % of the customers stay, 30 % leave
x = torch.randn(1500, 12)
score = x[:, :4].sum(1) * 0.8 + x[:, 4] * x[:, 5] * 0.7
leaves = (score + 0.4 * torch.randn(1500) > 1.0).long()
print("share leaving", leaves.float().mean().item())

model = nn.DataParallel(
    nn.Sequential(
        nn.Linear(12, 64), nn.BatchNorm1d(64), nn.ReLU(), nn.Dropout(0.1), nn.Linear(64, 2)
    )
)
loader = DataLoader(
    TensorDataset(x[:1200], leaves[:1200]), batch_size=64, shuffle=True, drop_last=True
)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, weight_decay=1e-3)
for epoch in range(8):
    model.train()
    for features, target in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(features), target)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        out = model(x[1200:])
        acc = (out.argmax(1) == leaves[1200:]).float().mean().item()
        val = nn.functional.cross_entropy(out, leaves[1200:]).item()
    print(f"epoch {epoch} loss {loss.item():.4f} val loss {val:.4f} accuracy {acc:.4f}")
