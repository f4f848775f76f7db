import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
VOCAB, LENGTH = 20, 12


def messages(n):
    spam = torch.randint(0, 2, (n,))
    words = torch.randint(0, VOCAB, (n, LENGTH))
    bait = (torch.rand(n, LENGTH) < 0.6) & spam.bool()[:, None]
    words[bait] = torch.randint(15, VOCAB, (int(bait.sum()),))
    return words, spam.float()


class SpamFilter(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, 10)
        self.lstm = nn.LSTM(10, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, words):
        _, (h, _) = self.lstm(self.emb(words))
        return torch.sigmoid(self.out(h[-1])).squeeze(1)


spam_filter = SpamFilter()
opt = torch.optim.Adam(spam_filter.parameters(), lr=5e-3)
x, y = messages(1280)
xv, yv = messages(300)
for epoch in range(6):
    for idx in torch.randperm(1280).split(40):
        loss = F.binary_cross_entropy_with_logits(spam_filter(x[idx]), y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
    with torch.no_grad():
        val = F.binary_cross_entropy_with_logits(spam_filter(xv), yv)
    print(f"epoch {epoch}: train {loss.item():.4f} val {val.item():.4f}")
