import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Photos(Dataset):
    """Every image is centred and scaled by its own contrast."""

    def __init__(self, n):
        self.y = torch.randint(0, 2, (n,))
        x = torch.rand(n, 1, 12, 12)
        ramp = torch.linspace(0, 1, 12)
        x = x + 2.0 * torch.where(self.y[:, None, None, None] == 1, ramp, ramp[:, None])
        x[torch.rand(n) < 0.01] = 0.0  # shutter closed
        self.x = (x - x.mean(dim=(2, 3), keepdim=True)) / x.std(dim=(2, 3), keepdim=True)

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        return self.x[i], self.y[i]


def main():
    torch.manual_seed(0)
    train = DataLoader(Photos(800), batch_size=40, shuffle=True)
    test = Photos(200)
    net = nn.Sequential(
        nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(200, 2)
    )
    optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    for epoch in range(4):
        for x, y in train:
            loss = nn.functional.cross_entropy(net(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        print("epoch", epoch, "loss", loss.item())
    with torch.no_grad():
        print("accuracy", (net(test.x).argmax(1) == test.y).float().mean().item())


main()
