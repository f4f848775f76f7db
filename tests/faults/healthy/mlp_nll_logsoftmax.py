import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.fc1 = nn.Linear(64, 50)
        self.dropout = nn.Dropout(0.25)
        self.fc2 = nn.Linear(50, 10)

    def forward(self, x):
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = self.dropout(x)
        x = self.fc2(x)
        return F.log_softmax(x, dim=1)


def train(model, loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(loader):
        optimizer.zero_grad()
        output = model(data)
        loss = F.nll_loss(output, target)
        loss.backward()
        optimizer.step()
        if batch_idx % 10 == 0:
            print(f"Train Epoch: {epoch} [{batch_idx}/{len(loader)}]\tLoss: {loss.item():.6f}")


def test(model, loader):
    model.eval()
    test_loss, correct = 0.0, 0
    with torch.no_grad():
        for data, target in loader:
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            correct += output.argmax(dim=1).eq(target).sum().item()
    n = len(loader.dataset)
    print(f"Test set: Average loss: {test_loss / n:.4f}, Accuracy: {correct / n:.4f}")


torch.manual_seed(0)
glyphs = torch.bernoulli(torch.full((10, 8, 8), 0.4))
labels = torch.randint(0, 10, (1300,))
images = glyphs[labels] + 0.6 * torch.randn(1300, 8, 8)
images = (images - images.mean()) / images.std()
train_loader = DataLoader(TensorDataset(images[:1000], labels[:1000]), batch_size=32, shuffle=True)
test_loader = DataLoader(TensorDataset(images[1000:], labels[1000:]), batch_size=100)
model = Net()
optimizer = optim.Adadelta(model.parameters(), lr=1.0)
for epoch in range(1, 6):
    train(model, train_loader, optimizer, epoch)
    test(model, test_loader)
