"""Variational auto-encoder on smooth bumps."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class VAE(nn.Module):
    def __init__(self, d_in=100, d_hid=64, d_z=4):
        super().__init__()
        self.enc = nn.Linear(d_in, d_hid)
        self.mu = nn.Linear(d_hid, d_z)
        self.logvar = nn.Linear(d_hid, d_z)
        self.dec1 = nn.Linear(d_z, d_hid)
        self.dec2 = nn.Linear(d_hid, d_in)

    def forward(self, x):
        h = F.relu(self.enc(x))
        mu, logvar = self.mu(h), self.logvar(h)
        z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
        return self.dec2(F.relu(self.dec1(z))), mu, logvar


def elbo(logits, x, mu, logvar):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
    kl = -0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum() / len(x)
    return rec + kl, rec, kl


def data(n):
    g = torch.linspace(-1, 1, 10)
    cx, cy = torch.rand(2, n, 1, 1) * 1.4 - 0.7
    img = torch.exp(-((g[None, :, None] - cy) ** 2 + (g[None, None, :] - cx) ** 2) / 0.15)
    return img.flatten(1)


if __name__ == "__main__":
    torch.manual_seed(0)
    x = data(960)
    vae = VAE()
    optim = torch.optim.Adam(vae.parameters(), lr=2e-3)
    for epoch in range(8):
        for chunk in x[torch.randperm(len(x))].split(32):
            logits, mu, logvar = vae(chunk)
            loss, rec, kl = elbo(logits, chunk, mu, logvar)
            optim.zero_grad()
            loss.backward()
            optim.step()
        print(f"epoch {epoch} rec {rec.item():.2f} kl {kl.item():.2f} loss {loss.item():.2f}")
