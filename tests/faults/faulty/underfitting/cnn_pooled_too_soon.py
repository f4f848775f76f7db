import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


class Tiny(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 1)
        self.fc = nn.Linear(4, 4)

    def forward(self, x):
        return self.fc(F.relu(self.conv(x)).mean(dim=(2, 3)))


def textures(n):
    g = torch.arange(12.0)
    y = torch.randint(0, 4, (n,))
    w = torch.stack([g.expand(12, 12), g[:, None].expand(12, 12), g + g[:, None], g - g[:, None]])
    return (torch.sin(1.2 * w[y] + 6.28 * torch.rand(n, 1, 1)) + 0.3 * torch.randn(n, 12, 12))[
        :, None
    ], y


x, y = textures(800)
x_val, y_val = textures(200)
tiny = Tiny()
optimizer = torch.optim.Adam(tiny.parameters(), lr=1e-2)
for epoch in range(8):
    tiny.train()
    for idx in torch.randperm(800).split(40):
        loss = F.cross_entropy(tiny(x[idx]), y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tiny.eval()
    with torch.no_grad():
        out = tiny(x_val)
    print(
        f"epoch {epoch} train {loss.item():.3f} val {F.cross_entropy(out, y_val).item():.3f}"
        f" accuracy {(out.argmax(1) == y_val).float().mean().item():.3f}"
    )
