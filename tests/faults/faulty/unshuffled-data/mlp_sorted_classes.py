import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
PER_CLASS, CLASSES = 200, 6
centres = torch.randn(CLASSES, 10)


def folder_of_samples(per_class):
    xs, ys = [], []
    for label in range(CLASSES):
        xs.append(centres[label] + 0.8 * torch.randn(per_class, 10))
        ys.append(torch.full((per_class,), label))
    return torch.cat(xs), torch.cat(ys)


x, y = folder_of_samples(PER_CLASS)
x_test, y_test = folder_of_samples(40)
loader = DataLoader(TensorDataset(x, y), batch_size=50)
model = nn.Sequential(nn.Linear(10, 48), nn.ReLU(), nn.Linear(48, CLASSES))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for epoch in range(5):
    for xb, yb in loader:
        loss = criterion(model(xb), yb)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        acc = (model(x_test).argmax(1) == y_test).float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} test accuracy {acc:.3f}")
