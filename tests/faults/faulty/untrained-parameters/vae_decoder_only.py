import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
factors = torch.randn(1000, 2)
observed = torch.tanh(factors @ torch.randn(2, 20)) + 0.05 * torch.randn(1000, 20)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(20, 32)
        self.stats = nn.Linear(32, 4)

    def forward(self, x):
        return self.stats(F.silu(self.hidden(x))).chunk(2, dim=1)


encoder = Encoder()
decoder = nn.Sequential(nn.Linear(2, 32), nn.SiLU(), nn.Linear(32, 20))
optimizer = torch.optim.Adam(decoder.parameters(), lr=3e-3)
beta = 0.002
for epoch in range(10):
    for idx in torch.randperm(800).split(40):
        mu, log_var = encoder(observed[idx])
        z = mu + torch.randn_like(mu) * (0.5 * log_var).exp()
        reconstruction = F.mse_loss(decoder(z), observed[idx])
        kl = -0.5 * (1 + log_var - mu**2 - log_var.exp()).sum(1).mean()
        loss = reconstruction + beta * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4f} kl {kl.item():.3f}")
with torch.no_grad():
    mu, _ = encoder(observed[800:])
    print("reconstruction", F.mse_loss(decoder(mu), observed[800:]).item())
