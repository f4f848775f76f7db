"""120 examples only: weight decay and early stopping."""

import copy

import torch
from torch import nn

torch.manual_seed(0)
direction = torch.randn(8)
x = torch.randn(240, 8)
y = (x @ direction + 0.3 * torch.randn(240) > 0).long()
x_train, y_train, x_val, y_val = x[:120], y[:120], x[120:], y[120:]

model = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, 2))
opt = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-2)
ce = nn.CrossEntropyLoss()
best, patience, state = float("inf"), 6, None

for epoch in range(40):
    model.train()
    for batch in torch.randperm(120).split(20):
        opt.zero_grad()
        loss = ce(model(x_train[batch]), y_train[batch])
        loss.backward()
        opt.step()
    model.eval()
    with torch.no_grad():
        val = ce(model(x_val), y_val).item()
    print(f"epoch {epoch} loss {loss.item():.4f} val {val:.4f}")
    if val < best - 1e-4:
        best, waited, state = val, 0, copy.deepcopy(model.state_dict())
    else:
        waited += 1
        if waited >= patience:
            print("stopping early")
            break

model.load_state_dict(state)
with torch.no_grad():
    print("accuracy", (model(x_val).argmax(1) == y_val).float().mean().item())
