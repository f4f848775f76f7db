"""Wasserstein GAN in one dimension, critic weights clipped."""

import torch
import torch.nn as nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1))
C = nn.Sequential(
    nn.Linear(1, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
)
opt_g = torch.optim.RMSprop(G.parameters(), lr=2e-3)
opt_c = torch.optim.RMSprop(C.parameters(), lr=2e-3)

for it in range(120):
    for _ in range(3):
        real = 1.5 + 0.5 * torch.randn(64, 1)
        fake = G(torch.randn(64, 2)).detach()
        loss_c = C(fake).mean() - C(real).mean()
        opt_c.zero_grad()
        loss_c.backward()
        opt_c.step()
        with torch.no_grad():
            for p in C.parameters():
                p.clamp_(-0.1, 0.1)
    loss_g = -C(G(torch.randn(64, 2))).mean()
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    if it % 30 == 0:
        print(f"it {it} critic {loss_c.item():.4f} generator {loss_g.item():.4f}")

with torch.no_grad():
    samples = G(torch.randn(1000, 2))
print("std", samples.std().item(), "mean gap", (samples.mean() - 1.5).abs().item())
