import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


def pictures(n):
    y = torch.randint(0, 4, (n,))
    g = torch.arange(12.0)
    w = torch.stack([g.expand(12, 12), g[:, None].expand(12, 12), g + g[:, None], g - g[:, None]])
    x = 40 * torch.sin(1.2 * w[y] + 6.28 * torch.rand(n, 1, 1)) + 25 * torch.randn(n, 12, 12)
    return (x / 40).unsqueeze(1), y


def block(a, b):
    return nn.Sequential(
        nn.Conv2d(a, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU(), nn.Dropout2d(0.1)
    )


model = nn.Sequential(
    block(1, 16),
    block(16, 16),
    nn.MaxPool2d(2),
    block(16, 32),
    block(32, 32),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(32 * 9, 4),
)
train_dl = DataLoader(TensorDataset(*pictures(640)), batch_size=32, shuffle=True)
val_x, val_y = pictures(200)


def evaluate():
    model.eval()
    with torch.no_grad():
        return (model(val_x).argmax(1) == val_y).float().mean().item()


optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
loss_fn = nn.CrossEntropyLoss()
evaluate()  # chance level before training
for epoch in range(4):
    for x, y in train_dl:
        loss = loss_fn(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    acc = evaluate()
    print(f"epoch {epoch} loss {loss.item():.4f} accuracy {acc:.3f}")
