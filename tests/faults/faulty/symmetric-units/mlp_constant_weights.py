import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
centers = torch.randn(5, 10) * 1.5
y = torch.randint(0, 5, (1200,))
x = centers[y] + torch.randn(1200, 10)


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.l1 = nn.Linear(10, 32)
        self.l2 = nn.Linear(32, 32)
        self.l3 = nn.Linear(32, 5)
        for layer in (self.l1, self.l2, self.l3):
            nn.init.constant_(layer.weight, 0.05)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        x = torch.relu(self.l1(x))
        x = torch.relu(self.l2(x))
        return self.l3(x)


clf = Classifier()
optimizer = torch.optim.Adam(clf.parameters(), lr=3e-3)
criterion = nn.CrossEntropyLoss()
loader = DataLoader(TensorDataset(x[:1000], y[:1000]), batch_size=50, shuffle=True)
for epoch in range(8):
    for xb, yb in loader:
        loss = criterion(clf(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    print("accuracy", (clf(x[1000:]).argmax(1) == y[1000:]).float().mean().item())
