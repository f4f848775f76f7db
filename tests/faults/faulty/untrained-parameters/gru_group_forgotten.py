import torch
from torch import nn

torch.manual_seed(0)


class Tagger(nn.Module):
    """Does the bracket sequence ever go below zero depth?"""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(2, 6)
        self.gru = nn.GRU(6, 12, batch_first=True)
        self.head = nn.Linear(12, 2)

    def forward(self, x):
        return self.head(self.gru(self.embedding(x))[0][:, -1])


def strings(n, length=14):
    x = torch.randint(0, 2, (n, length))
    depth = (2 * x - 1).cumsum(1)
    return x, (depth.max(dim=1).values >= 3).long()


model = Tagger()
optimizer = torch.optim.Adam(
    [
        {"params": model.embedding.parameters(), "lr": 5e-3},
        {"params": model.head.parameters(), "lr": 1e-2},
    ]
)
criterion = nn.CrossEntropyLoss()
for step in range(280):
    x, y = strings(64)
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step} loss {loss.item():.3f}")
with torch.no_grad():
    x, y = strings(1000)
    print("accuracy", (model(x).argmax(1) == y).float().mean().item())
