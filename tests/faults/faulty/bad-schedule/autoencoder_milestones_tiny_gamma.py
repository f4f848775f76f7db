import torch
from torch import nn
from torch.optim.lr_scheduler import MultiStepLR

torch.manual_seed(0)
basis = torch.randn(4, 50)
samples = torch.sin(torch.randn(1000, 4) @ basis / 2)

autoencoder = nn.Sequential(
    nn.Linear(50, 64), nn.SiLU(), nn.Linear(64, 8), nn.Linear(8, 64), nn.SiLU(), nn.Linear(64, 50)
)
optimizer = torch.optim.Adam(autoencoder.parameters(), lr=2e-3)
scheduler = MultiStepLR(optimizer, milestones=[1, 8], gamma=1e-4)
for epoch in range(12):
    for rows in torch.randperm(800).split(50):
        x = samples[rows]
        loss = nn.functional.mse_loss(autoencoder(x), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    scheduler.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
with torch.no_grad():
    x = samples[800:]
    print("test loss", nn.functional.mse_loss(autoencoder(x), x).item())
