import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
glyph = torch.bernoulli(torch.full((10, 64), 0.5))
y = torch.randint(0, 10, (1500,))
x = glyph[y] - 0.5 + 0.6 * torch.randn(1500, 64)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 64)
        self.fc2 = nn.Linear(64, 32)
        self.fc3 = nn.Linear(32, 10)

    def forward(self, x):
        x = torch.relu(self.fc1(x))
        x = torch.relu(self.fc2(x))
        return torch.softmax(self.fc3(x), dim=1)


net = Net()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
train_loader = DataLoader(TensorDataset(x[:1200], y[:1200]), batch_size=50, shuffle=True)
for epoch in range(8):
    running_loss = 0.0
    for inputs, labels in train_loader:
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(f"[{epoch + 1}] loss: {running_loss / len(train_loader):.4f}")
with torch.no_grad():
    out = net(x[1200:])
    print("accuracy", (out.argmax(1) == y[1200:]).float().mean().item())
    print("val loss", criterion(out, y[1200:]).item())
