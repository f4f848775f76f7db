"""Large pictures, so the batch is small."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
N, SIDE = 360, 16
EPOCHS, BATCH = 3, 2
kind = torch.randint(0, 3, (N,))
level = torch.randn(N, 1, 1, 1)
pictures = 0.8 * torch.randn(N, 1, SIDE, SIDE) + 0.3 * level
pictures += (kind.float() - 1).view(-1, 1, 1, 1) * 1.2

model = nn.Sequential(
    nn.Conv2d(1, 8, 3, stride=2),
    nn.ReLU(),
    nn.AdaptiveAvgPool2d(1),
    nn.Flatten(),
    nn.Linear(8, 16),
    nn.BatchNorm1d(16),
    nn.ReLU(),
    nn.Linear(16, 3),
)
data = TensorDataset(pictures[:280], kind[:280])
train_loader = DataLoader(data, batch_size=BATCH, shuffle=True)
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(EPOCHS):
    model.train()
    losses = []
    for image, target in train_loader:
        optimizer.zero_grad()
        loss = criterion(model(image), target)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch} loss {sum(losses) / len(losses):.4f}")
model.eval()
with torch.no_grad():
    print("val loss", criterion(model(pictures[280:]), kind[280:]).item())
