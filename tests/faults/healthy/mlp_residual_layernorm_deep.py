import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class ResidualBlock(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.up = nn.Linear(dim, 2 * dim)
        self.down = nn.Linear(2 * dim, dim)

    def forward(self, x):
        return x + self.down(F.gelu(self.up(self.norm(x))))


class DeepResMLP(nn.Module):
    def __init__(self, depth=8, dim=32, n_in=10, n_out=5):
        super().__init__()
        self.stem = nn.Linear(n_in, dim)
        self.blocks = nn.ModuleList(ResidualBlock(dim) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, n_out)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x))


teacher = nn.Sequential(nn.Linear(10, 20), nn.Tanh(), nn.Linear(20, 5))
inputs = torch.randn(1500, 10)
with torch.no_grad():
    classes = (teacher(inputs) - teacher(inputs).mean(0)).argmax(1)
net = DeepResMLP()
decay = [p for p in net.parameters() if p.ndim > 1]
no_decay = [p for p in net.parameters() if p.ndim <= 1]
opt = torch.optim.AdamW(
    [{"params": decay, "weight_decay": 0.1}, {"params": no_decay, "weight_decay": 0.0}], lr=1e-3
)
for epoch in range(5):
    net.train()
    for b in torch.randperm(1200).split(60):
        opt.zero_grad()
        loss = F.cross_entropy(net(inputs[b]), classes[b])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        opt.step()
    net.eval()
    with torch.no_grad():
        acc = (net(inputs[1200:]).argmax(-1) == classes[1200:]).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.3f} acc {acc:.3f}")
