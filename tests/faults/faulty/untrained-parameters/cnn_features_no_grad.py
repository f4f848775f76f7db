import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)


def orientation_images(n):
    g = torch.arange(14.0)
    angle = torch.randint(0, 6, (n,))
    theta = (angle * torch.pi / 6)[:, None, None]
    wave = theta.cos() * g + theta.sin() * g[:, None]
    x = torch.sin(1.3 * wave + 6.28 * torch.rand(n, 1, 1)) + 0.8 * torch.randn(n, 14, 14)
    return x.unsqueeze(1), angle


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.extract = nn.Sequential(
            nn.Conv2d(1, 6, 5),
            nn.ReLU(),
            nn.Conv2d(6, 8, 5),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )
        self.head = nn.Linear(8, 6)

    def forward(self, x):
        with torch.no_grad():
            features = self.extract(x)
        return self.head(features)


train_loader = DataLoader(TensorDataset(*orientation_images(900)), batch_size=45, shuffle=True)
val_x, val_y = orientation_images(300)
model = Model()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(6):
    model.train()
    for x, y in train_loader:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        out = model(val_x)
    print(
        f"epoch {epoch} loss {loss.item():.3f} val loss {nn.functional.cross_entropy(out, val_y):.3f}"
        f" val accuracy {(out.argmax(1) == val_y).float().mean():.3f}"
    )
