import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
prototypes = torch.randn(6, 16)
y = torch.randint(0, 6, (1500,))
x = prototypes[y] + 0.5 * torch.randn(1500, 16)
x_test, y_test = x[1200:], y[1200:]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(16, 64)
        self.fc2 = nn.Linear(64, 6)
        self.drop = nn.Dropout(0.5)

    def forward(self, x):
        return self.fc2(self.drop(F.relu(self.fc1(self.drop(x)))))


model = Net()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(7):
    model.train()
    for rows in torch.randperm(1200).split(50):
        loss = F.cross_entropy(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        logits = model(x_test)
    accuracy = (logits.argmax(1) == y_test).float().mean()
    test_loss = F.cross_entropy(logits, y_test)
    print(f"epoch {epoch} accuracy {accuracy:.3f} test loss {test_loss:.4f}")
