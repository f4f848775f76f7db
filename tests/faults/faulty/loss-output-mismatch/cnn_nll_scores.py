import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3)
        self.conv2 = nn.Conv2d(8, 16, 3)
        self.fc1 = nn.Linear(16 * 16, 32)
        self.fc2 = nn.Linear(32, 4)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = torch.flatten(x, 1)
        x = torch.tanh(self.fc1(x))
        return self.fc2(x)


torch.manual_seed(0)
y = torch.randint(0, 4, (1000,))
x = 0.6 * torch.randn(1000, 1, 12, 12)
for i in range(1000):
    r, c = divmod(int(y[i]), 2)
    x[i, 0, 6 * r + 1 : 6 * r + 5, 6 * c + 1 : 6 * c + 5] += 0.8 * torch.rand(())

model = Net()
optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
for epoch in range(1, 5):
    model.train()
    for batch_idx, rows in enumerate(torch.randperm(800).split(40)):
        optimizer.zero_grad()
        output = model(x[rows])
        loss = F.nll_loss(output, y[rows])
        loss.backward()
        optimizer.step()
        if batch_idx % 10 == 0:
            print(f"Train Epoch: {epoch} [{batch_idx}/20] Loss: {loss.item():.6f}")
model.eval()
with torch.no_grad():
    correct = model(x[800:]).argmax(dim=1).eq(y[800:]).float().mean().item()
print(f"Accuracy: {correct:.3f}")
