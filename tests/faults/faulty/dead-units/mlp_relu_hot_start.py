import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
centre = torch.randn(8, 24) * 1.2
cls = torch.randint(0, 8, (1600,))
feats = centre[cls] + torch.randn(1600, 24)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(24, 64)
        self.fc2 = nn.Linear(64, 64)
        self.fc3 = nn.Linear(64, 8)

    def forward(self, x):
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


model = Net()
optimizer = torch.optim.SGD(model.parameters(), lr=1.5, momentum=0.9)
train_loader = DataLoader(TensorDataset(feats[:1280], cls[:1280]), batch_size=64, shuffle=True)
for epoch in range(8):
    model.train()
    total = 0
    for data, target in train_loader:
        optimizer.zero_grad()
        loss = F.cross_entropy(model(data), target)
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"Epoch {epoch}: {total / len(train_loader):.4f}")
model.eval()
with torch.no_grad():
    print("accuracy", (model(feats[1280:]).argmax(1) == cls[1280:]).float().mean().item())
