"""Matrix factorisation of a small ratings table."""

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
USERS, ITEMS, RANK = 80, 60, 3
true_u, true_i = torch.randn(USERS, RANK), torch.randn(ITEMS, RANK)
pairs = torch.cartesian_prod(torch.arange(USERS), torch.arange(ITEMS))
pairs = pairs[torch.randperm(len(pairs))]
rating = (true_u[pairs[:, 0]] * true_i[pairs[:, 1]]).sum(1) / RANK**0.5
rating = rating + 0.1 * torch.randn(len(pairs))


class Factorisation(nn.Module):
    def __init__(self, rank=8):
        super().__init__()
        self.user = nn.Embedding(USERS, rank)
        self.item = nn.Embedding(ITEMS, rank)
        self.user_bias = nn.Embedding(USERS, 1)
        self.item_bias = nn.Embedding(ITEMS, 1)
        for table in (self.user, self.item):
            nn.init.normal_(table.weight, std=0.3)
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, users, items):
        dot = (self.user(users) * self.item(items)).sum(1)
        return dot + self.user_bias(users).squeeze(1) + self.item_bias(items).squeeze(1)


model = Factorisation()
opt = torch.optim.Adam(model.parameters(), lr=0.03, weight_decay=1e-4)
loader = DataLoader(
    TensorDataset(pairs[:4000, 0], pairs[:4000, 1], rating[:4000]), batch_size=200, shuffle=True
)
for epoch in range(10):
    squared = 0.0
    for u, i, r in loader:
        loss = ((model(u, i) - r) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        squared += loss.item() * len(r)
    with torch.no_grad():
        test = ((model(pairs[4000:, 0], pairs[4000:, 1]) - rating[4000:]) ** 2).mean()
    print(f"epoch {epoch}: train mse {squared / 4000:.3f} test mse {test.item():.3f}")
