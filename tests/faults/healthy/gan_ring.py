"""GAN on points of a ring; two networks, two optimizers."""

import torch
from torch import nn

torch.manual_seed(0)


def real_points(n):
    angle = torch.rand(n) * 6.2832
    radius = 1.0 + 0.05 * torch.randn(n)
    return torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)


generator = nn.Sequential(
    nn.Linear(4, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 2)
)
discriminator = nn.Sequential(
    nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1)
)
g_optim = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
d_optim = torch.optim.Adam(discriminator.parameters(), lr=1e-3, betas=(0.5, 0.9))
bce = nn.BCEWithLogitsLoss()
ones, zeros = torch.ones(64, 1), torch.zeros(64, 1)

for step in range(500):
    real = real_points(64)
    fake = generator(torch.randn(64, 4))

    d_loss = bce(discriminator(real), ones) + bce(discriminator(fake.detach()), zeros)
    d_optim.zero_grad()
    d_loss.backward()
    d_optim.step()

    g_loss = bce(discriminator(fake), ones)
    g_optim.zero_grad()
    g_loss.backward()
    g_optim.step()

    if step % 100 == 0:
        print(f"{step:4d} D {d_loss.item():.3f} G {g_loss.item():.3f}")

with torch.no_grad():
    radius = generator(torch.randn(500, 4)).norm(dim=1)
print(f"distance to the ring {(radius - 1).abs().mean().item():.3f}")
