import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)

glyphs = torch.bernoulli(torch.full((10, 64), 0.5))
target = torch.randint(0, 10, (1500,))
pixels = glyphs[target] + 0.5 * torch.randn(1500, 64) - 0.5


class MLP(nn.Module):
    def __init__(self, depth=10, width=64):
        super().__init__()
        layers = [nn.Linear(64, width), nn.Sigmoid()]
        for _ in range(depth):
            layers += [nn.Linear(width, width), nn.Sigmoid()]
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.body(x))


train_loader = DataLoader(TensorDataset(pixels[:1200], target[:1200]), batch_size=50, shuffle=True)
model = MLP()
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
for epoch in range(8):
    model.train()
    running_loss = 0.0
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
        running_loss += loss.item()
    print(f"epoch {epoch + 1} loss {running_loss / len(train_loader):.4f}")

model.eval()
with torch.no_grad():
    acc = (model(pixels[1200:]).argmax(1) == target[1200:]).float().mean()
print(f"test accuracy {acc:.3f}")
