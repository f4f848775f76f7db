import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
offsets = torch.randn(4, 6) * 2
classes = torch.randint(0, 4, (1000,))
inputs = offsets[classes] + torch.randn(1000, 6)
model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 4))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
loader = DataLoader(TensorDataset(inputs[:800], classes[:800]), batch_size=40, shuffle=True)

for epoch in range(6):
    model.train()
    total = 0.0
    for x, y in loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        total += loss.item()
    model.eval()
    with torch.no_grad():
        accuracy = (model(inputs[800:]).argmax(1) == classes[800:]).float().mean().item()
    print(f"epoch {epoch} loss {total / len(loader):.4f} accuracy {accuracy:.3f}")
