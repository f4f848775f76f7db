import torch
from torch import nn
from torch.utils.data import DataLoader

torch.manual_seed(0)

# smooth bumps on a 12 x 12 grid, intensities in [0, 1]
grid = torch.linspace(-1, 1, 12)
cx, cy = torch.rand(2, 1000, 1, 1) * 1.4 - 0.7
images = torch.exp(-((grid[None, :, None] - cy) ** 2 + (grid[None, None, :] - cx) ** 2) / 0.1)
images = images.unsqueeze(1)

encoder = nn.Sequential(nn.Flatten(), nn.Linear(144, 64), nn.ReLU(), nn.Linear(64, 8))
decoder = nn.Sequential(
    nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 144), nn.Sigmoid(), nn.Unflatten(1, (1, 12, 12))
)
autoencoder = nn.Sequential(encoder, decoder)
optimizer = torch.optim.RMSprop(autoencoder.parameters(), lr=1e-3)
loss_function = nn.MSELoss()
loader = DataLoader(images[:800], batch_size=40, shuffle=True)

for epoch in range(12):
    epoch_loss = 0.0
    for batch in loader:
        reconstruction = autoencoder(batch)
        loss = loss_function(reconstruction, batch)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        epoch_loss += loss.item() / len(loader)
    print(f"Epoch {epoch + 1}/12, reconstruction loss {epoch_loss:.5f}")

with torch.no_grad():
    test = loss_function(autoencoder(images[800:]), images[800:])
print(f"variance {images.var().item():.5f}")
print(f"test loss {test.item():.5f}")
