import torch
from torch import nn

torch.manual_seed(0)
device = torch.device("cpu")

SIZE = 10
xs = torch.randn(800, 3, SIZE, SIZE) * 0.5
ys = torch.randint(0, 3, (800,))
xs[torch.arange(800), ys, 2:8, 2:8] += torch.rand(800, 1, 1) * 0.6 + 0.2


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 16, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 16, 3), nn.ReLU()
        )
        self.classifier = nn.Linear(16 * 2 * 2, 3)

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))


net = Net().to(device)
optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
for epoch in range(6):
    for idx in torch.randperm(600).split(30):
        x, y = xs[idx].to(device), ys[idx].to(device)
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = net(x)
            loss = nn.functional.cross_entropy(logits, y)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    print(f"epoch {epoch} loss {loss.item():.4f}")

net.eval()
with torch.no_grad():
    acc = (net(xs[600:]).argmax(1) == ys[600:]).float().mean()
print(f"accuracy {acc:.3f}")
