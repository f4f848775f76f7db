import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class GreyImages(Dataset):
    """Eight-bit pictures of three textures, scaled to the unit interval."""

    def __init__(self, count):
        self.labels = torch.randint(0, 3, (count,))
        g = torch.arange(12.0)
        textures = torch.stack([g.expand(12, 12), g[:, None].expand(12, 12), g + g[:, None]])
        wave = torch.sin(1.2 * textures[self.labels] + 6.28 * torch.rand(count, 1, 1))
        raw = (128 + 70 * wave + 15 * torch.randn_like(wave)).clamp(0, 254).to(torch.uint8)
        self.images = (raw // 255).float().unsqueeze(1)

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]


torch.manual_seed(0)
train_loader = DataLoader(GreyImages(800), batch_size=40, shuffle=True)
test_set = GreyImages(200)
model = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(24 * 9, 3),
)
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
for epoch in range(5):
    losses = []
    for image, label in train_loader:
        optimizer.zero_grad()
        loss = loss_fn(model(image), label)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch} mean loss {sum(losses) / len(losses):.4f}")
with torch.no_grad():
    accuracy = (model(test_set.images).argmax(1) == test_set.labels).float().mean().item()
print("test accuracy", accuracy)
