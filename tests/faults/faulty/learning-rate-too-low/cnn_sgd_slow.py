import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(0)
g = torch.arange(12.0)
kinds = torch.stack([g.expand(12, 12), g[:, None].expand(12, 12), g + g[:, None]])
labels = torch.randint(0, 3, (900,))
images = torch.sin(kinds[labels] + 6.28 * torch.rand(900, 1, 1)) + 0.4 * torch.randn(900, 12, 12)
images = images.unsqueeze(1)

net = nn.Sequential(
    nn.Conv2d(1, 8, 3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3, padding=1),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Flatten(),
    nn.Linear(144, 3),
)
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=1e-5, momentum=0.9)
for epoch in range(4):
    net.train()
    for i in range(0, 720, 36):
        optimizer.zero_grad()
        loss = criterion(net(images[i : i + 36]), labels[i : i + 36])
        loss.backward()
        optimizer.step()
    print(f"[{epoch + 1}] loss: {loss.item():.3f}")
net.eval()
with torch.no_grad():
    print("Accuracy", (net(images[720:]).argmax(1) == labels[720:]).float().mean().item())
