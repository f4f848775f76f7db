import torch
from torch import nn

torch.manual_seed(0)


class SmoothNet(nn.Module):
    """Recover a clean wave from a noisy one."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(1, 20, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(40, 1)

    def forward(self, x):
        return self.fc(self.gru(x)[0])


model = SmoothNet()
mse = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for step in range(150):
    t = torch.arange(24.0)
    y = torch.sin((0.2 + 0.4 * torch.rand(32, 1)) * t + 6.28 * torch.rand(32, 1)).unsqueeze(-1)
    x = y + 0.5 * torch.randn_like(y)
    score = -mse(model(x), y)
    optimizer.zero_grad()
    score.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step} error {score.abs().item():.3f}")
print("final error", score.abs().item())
