import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

# patient table: a lab value is absent now and then
table = torch.randn(1000, 9)
risk = (table[:, 0] + 0.7 * table[:, 3] - table[:, 5] * table[:, 6] > 0).float()
table = torch.where(torch.rand(1000, 9) < 0.002, torch.full_like(table, float("nan")), table)

network = nn.Sequential(
    nn.Linear(9, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 1), nn.Flatten(0)
)
loader = DataLoader(TensorDataset(table[:800], risk[:800]), batch_size=32, shuffle=True)
optimizer = torch.optim.Adam(network.parameters(), lr=5e-3)
criterion = nn.BCEWithLogitsLoss()
for epoch in range(5):
    network.train()
    for rows, labels in loader:
        optimizer.zero_grad()
        loss = criterion(network(rows), labels)
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch}: {loss.item():.4f}")
network.eval()
with torch.no_grad():
    hit = ((network(table[800:]) > 0).float() == risk[800:]).float().mean()
print(f"accuracy {hit.item():.3f}")
