import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset, random_split

SEED = 0
torch.manual_seed(SEED)

# house-price like table: rooms, surface, age, distance, in their natural units
n = 1000
rooms = torch.randint(1, 7, (n,)).float()
surface = 25 * rooms + 20 * torch.rand(n)
age = 80 * torch.rand(n)
distance = 30 * torch.rand(n)
price = 2.0 * surface + 15 * rooms - 0.8 * age - 3 * distance.sqrt() * rooms + 5 * torch.randn(n)
table = torch.stack([rooms, surface, age, distance], dim=1)
table = (table - table.mean(0)) / table.std(0)
target = ((price - price.mean()) / price.std()).unsqueeze(1)

train, val = random_split(TensorDataset(table, target), [800, 200])
train_loader = DataLoader(train, batch_size=32, shuffle=True)
val_loader = DataLoader(val, batch_size=200)


class Regressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 32), nn.SiLU(), nn.Linear(32, 32), nn.SiLU())
        self.head = nn.Linear(32, 1)

    def forward(self, x):
        return self.head(self.body(x))


reg = Regressor()
huber = nn.SmoothL1Loss()
optimizer = torch.optim.Adam(reg.parameters(), lr=3e-3)

for epoch in range(1, 9):
    reg.train()
    for xb, yb in train_loader:
        optimizer.zero_grad()
        loss = huber(reg(xb), yb)
        loss.backward()
        optimizer.step()
    reg.eval()
    with torch.no_grad():
        xb, yb = next(iter(val_loader))
        out = reg(xb)
        r2 = 1 - ((out - yb) ** 2).sum() / ((yb - yb.mean()) ** 2).sum()
    print(f"epoch {epoch} val huber {huber(out, yb):.4f} r2 {r2:.4f}")
