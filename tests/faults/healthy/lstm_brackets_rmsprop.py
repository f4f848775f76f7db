"""Which of the two symbols occurs more often? Sequence classification with an LSTM."""

import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=6)
parser.add_argument("--lr", type=float, default=3e-3)
parser.add_argument("--hidden", type=int, default=32)
parser.add_argument("--seed", type=int, default=0)
args = parser.parse_args()
torch.manual_seed(args.seed)


def make(n, length=15):
    p = torch.rand(n, 1) * 0.8 + 0.1
    tokens = (torch.rand(n, length) < p).long()
    return tokens, (tokens.sum(1) * 2 > length).long()


class LSTMClassifier(nn.Module):
    def __init__(self, vocab, dim, hidden, classes):
        super().__init__()
        self.embed = nn.Embedding(vocab, dim)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True)
        self.classify = nn.Linear(hidden, classes)

    def forward(self, tokens):
        _, (h, _) = self.lstm(self.embed(tokens))
        return self.classify(h[-1])


train = DataLoader(TensorDataset(*make(1200)), batch_size=40, shuffle=True, drop_last=True)
valid = DataLoader(TensorDataset(*make(400)), batch_size=200)
net = LSTMClassifier(2, 8, args.hidden, 2)
opt = torch.optim.RMSprop(net.parameters(), lr=args.lr)
ce = nn.CrossEntropyLoss()

for epoch in range(args.epochs):
    net.train()
    losses = []
    for tokens, target in train:
        opt.zero_grad()
        loss = ce(net(tokens), target)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    net.eval()
    hits = 0
    with torch.no_grad():
        for tokens, target in valid:
            hits += (net(tokens).argmax(-1) == target).sum().item()
    print(f"epoch {epoch}: loss {sum(losses) / len(losses):.4f}, accuracy {hits / 400:.3f}")
