import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
N, D, L = 1600, 16, 8
teacher = torch.randn(D, L)
X = torch.randn(N, D)
Y = (X @ teacher / D**0.5 + 0.2 * torch.randn(N, L) > 0.3).float()


class TagNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(D, 64)
        self.norm = nn.BatchNorm1d(64)
        self.tags = nn.Linear(64, L)

    def forward(self, x):
        return self.tags(F.relu(self.norm(self.hidden(x))))


net = TagNet()
bce = nn.BCEWithLogitsLoss()
sgd = torch.optim.SGD(net.parameters(), lr=0.3, momentum=0.9)
for epoch in range(5):
    net.train()
    order = torch.randperm(1280)
    for s in range(0, 1280, 64):
        b = order[s : s + 64]
        sgd.zero_grad()
        loss = bce(net(X[b]), Y[b])
        loss.backward()
        sgd.step()
    net.eval()
    with torch.no_grad():
        logits = net(X[1280:])
        hamming = ((logits > 0).float() == Y[1280:]).float().mean().item()
        print(epoch, "train", round(loss.item(), 4), "val", round(bce(logits, Y[1280:]).item(), 4))
print("label accuracy", hamming)
