import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
N = 3000
amounts = torch.randn(N, 10)
suspicion = amounts[:, 0] + 0.8 * amounts[:, 1] + 0.9 * torch.randn(N)
fraud = (suspicion > suspicion.quantile(0.98)).long()

train = TensorDataset(amounts[:2400], fraud[:2400])
x_test, y_test = amounts[2400:], fraud[2400:]
model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Dropout(0.2), nn.Linear(32, 2))
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(5):
    model.train()
    for x, y in DataLoader(train, batch_size=64, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        predicted = model(x_test).argmax(1)
    print(f"epoch {epoch} loss {loss:.4f} accuracy {(predicted == y_test).float().mean():.3f}")
found = (predicted[y_test == 1] == 1).float().mean().item()
print(f"share of the frauds found {found:.3f}")
