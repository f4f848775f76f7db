import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
anchors = torch.randn(5, 8)
kind = torch.randint(0, 5, (1200,))
points = anchors[kind] + 0.7 * torch.randn(1200, 8)
clf = nn.Sequential(nn.Linear(8, 48), nn.ReLU(), nn.Linear(48, 5))
nll = nn.NLLLoss()
adam = torch.optim.Adam(clf.parameters(), lr=5e-3)
for epoch in range(6):
    for x, y in DataLoader(TensorDataset(points[:1000], kind[:1000]), batch_size=40, shuffle=True):
        loss = nll(clf(x), y)
        adam.zero_grad()
        loss.backward()
        adam.step()
    print("epoch", epoch, "loss", loss.item())
with torch.no_grad():
    print("accuracy", (clf(points[1000:]).argmax(1) == kind[1000:]).float().mean().item())
