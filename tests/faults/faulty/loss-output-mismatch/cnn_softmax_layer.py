import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Bars(Dataset):
    def __init__(self, n):
        g = torch.arange(12.0)
        self.y = torch.randint(0, 5, (n,))
        theta = (self.y * torch.pi / 5)[:, None, None]
        phase = 6.28 * torch.rand(n, 1, 1)
        self.x = torch.cos(1.2 * (theta.cos() * g + theta.sin() * g[:, None]) + phase)
        self.x += 0.4 * torch.randn_like(self.x)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i, None], self.y[i]


torch.manual_seed(0)
model = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(16 * 9, 5),
    nn.Softmax(dim=1),
)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loader = DataLoader(Bars(900), batch_size=45, shuffle=True)
for epoch in range(6):
    for step, (x, y) in enumerate(loader):
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")

test = Bars(300)
with torch.no_grad():
    out = model(test.x[:, None])
print("accuracy", (out.argmax(1) == test.y).float().mean().item())
print("loss", loss_fn(out, test.y).item())
