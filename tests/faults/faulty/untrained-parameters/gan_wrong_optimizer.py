import torch
import torch.nn as nn

torch.manual_seed(0)
G = nn.Sequential(nn.Linear(3, 48), nn.LeakyReLU(0.2), nn.Linear(48, 2))
D = nn.Sequential(nn.Linear(2, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
d_opt = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.9))
g_opt = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.9))
bce = nn.BCEWithLogitsLoss()
real_mean = torch.tensor([2.0, -1.0])

for step in range(300):
    real = real_mean + 0.4 * torch.randn(64, 2)
    fake = G(torch.randn(64, 3))
    d_opt.zero_grad()
    out_real, out_fake = D(real), D(fake.detach())
    d_loss = bce(out_real, torch.ones_like(out_real)) + bce(out_fake, torch.zeros_like(out_fake))
    d_loss.backward()
    d_opt.step()

    g_opt.zero_grad()
    out = D(fake)
    g_loss = bce(out, torch.ones_like(out))
    g_loss.backward()
    g_opt.step()
    if step % 50 == 0:
        print(f"step {step} d {d_loss.item():.3f} g {g_loss.item():.3f}")

with torch.no_grad():
    gap = (G(torch.randn(500, 3)).mean(0) - real_mean).norm()
print("distance between the means", gap.item())
