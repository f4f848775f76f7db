import torch
import torch.nn as nn

torch.manual_seed(0)


class DenoisingAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encode = nn.Sequential(
            nn.Conv2d(1, 12, 3, stride=2, padding=1),
            nn.ELU(),
            nn.Conv2d(12, 16, 3, stride=2, padding=1),
            nn.ELU(),
        )
        self.decode = nn.Sequential(
            nn.ConvTranspose2d(16, 12, 4, stride=2, padding=1),
            nn.ELU(),
            nn.ConvTranspose2d(12, 1, 4, stride=2, padding=1),
        )

    def forward(self, x):
        return self.decode(self.encode(x))


def clean_images(n):
    g = torch.arange(16).float()
    angle = torch.rand(n, 1, 1) * 3.14
    wave = g[None, :, None] * angle.cos() + g[None, None, :] * angle.sin()
    return torch.sin(0.8 * wave + 6.28 * torch.rand(n, 1, 1)).unsqueeze(1)


dae = DenoisingAutoencoder()
opt = torch.optim.Adam(dae.parameters(), lr=4e-3)
for step in range(200):
    clean = clean_images(32)
    noisy = clean + 0.6 * torch.randn_like(clean)
    loss = nn.functional.mse_loss(dae(noisy), clean)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    if step % 40 == 0:
        print(f"step {step} loss {loss.item():.4f}")

with torch.no_grad():
    clean = clean_images(100)
    noisy = clean + 0.6 * torch.randn_like(clean)
    print("noisy mse", nn.functional.mse_loss(noisy, clean).item())
    print("denoised mse", nn.functional.mse_loss(dae(noisy), clean).item())
