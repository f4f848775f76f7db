import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
latent = torch.randn(800, 3)
rates = torch.exp(latent @ torch.randn(3, 24) * 0.7 + 4.0)
counts = rates


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Linear(24, 32)
        self.to_mu = nn.Linear(32, 3)
        self.to_logvar = nn.Linear(32, 3)
        self.decoder = nn.Sequential(nn.Linear(3, 32), nn.ReLU(), nn.Linear(32, 24))

    def forward(self, x):
        h = torch.relu(self.encoder(x))
        mu, logvar = self.to_mu(h), self.to_logvar(h)
        std = torch.exp(0.5 * logvar)
        return self.decoder(mu + std * torch.randn_like(std)), mu, logvar


model = VAE()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(6):
    for idx in torch.randperm(800).split(40):
        recon, mu, logvar = model(counts[idx])
        kl = -0.5 * torch.mean(1 + logvar - mu**2 - torch.exp(logvar))
        loss = F.mse_loss(recon, counts[idx]) + 0.1 * kl
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"epoch {epoch} loss {loss.item():.4g}")
