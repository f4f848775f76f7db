import torch
from torch import nn

torch.manual_seed(0)
x = torch.randn(1000, 10)
y = (x[:, :5].sum(1, keepdim=True) > 0).float()

model = nn.Sequential(nn.Linear(10, 32), nn.ReLU(), nn.Linear(32, 1), nn.Softmax(dim=1))
loss_fn = nn.BCELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(8):
    for idx in torch.randperm(800).split(40):
        y_pred = model(x[idx])
        loss = loss_fn(y_pred, y[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"Finished epoch {epoch}, latest loss {loss.item():.4f}")
with torch.no_grad():
    accuracy = (model(x[800:]).round() == y[800:]).float().mean()
print(f"Accuracy {accuracy:.3f}")
