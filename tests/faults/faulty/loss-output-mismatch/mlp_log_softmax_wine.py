"""Wine cultivars with a written-out cross-entropy."""

import torch
from sklearn.datasets import load_wine
from torch import nn

torch.manual_seed(2)
wine = load_wine()
x = torch.tensor(wine.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(wine.target)
onehot = nn.functional.one_hot(y, 3).float()


class Classifier(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(13, 32)
        self.out = nn.Linear(32, 3)

    def forward(self, x):
        return torch.log_softmax(self.out(torch.relu(self.hidden(x))), dim=0)


model = Classifier()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(60):
    for rows in torch.randperm(len(x)).split(20):
        optimizer.zero_grad()
        loss = -(onehot[rows] * model(x[rows])).sum(1).mean()
        loss.backward()
        optimizer.step()
    if epoch % 10 == 0:
        print(f"epoch {epoch} loss {loss.item():.3f}")
with torch.no_grad():
    print("mean log-likelihood loss", -(onehot * model(x)).sum(1).mean().item())
