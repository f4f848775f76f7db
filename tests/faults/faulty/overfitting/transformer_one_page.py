"""A sequence model on very few sequences."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
VOCAB, LENGTH, DIM = 12, 12, 48
n_train, epochs = 32, 60
table = torch.softmax(2.5 * torch.randn(VOCAB, VOCAB), dim=1)


def walk(n):
    seq = [torch.randint(0, VOCAB, (n,))]
    for _ in range(LENGTH):
        seq.append(torch.multinomial(table[seq[-1]], 1).squeeze(1))
    return torch.stack(seq, 1)


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, DIM)
        self.pos = nn.Embedding(LENGTH, DIM)
        layer = nn.TransformerEncoderLayer(DIM, 4, 4 * DIM, dropout=0.0, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 2)
        self.head = nn.Linear(DIM, VOCAB)
        self.register_buffer("mask", torch.full((LENGTH, LENGTH), float("-inf")).triu(1))

    def forward(self, x):
        h = self.tok(x) + self.pos.weight
        return self.head(self.blocks(h, mask=self.mask))


train, val = walk(n_train), walk(200)
model = Decoder()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(epochs):
    model.train()
    for idx in torch.randperm(n_train).split(16):
        seq = train[idx]
        loss = F.cross_entropy(model(seq[:, :-1]).transpose(1, 2), seq[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if epoch % 4 == 3 or epochs == 1:
        model.eval()
        with torch.no_grad():
            val_loss = F.cross_entropy(model(val[:, :-1]).transpose(1, 2), val[:, 1:]).item()
        print(f"epoch {epoch} loss {loss.item():.4f} val loss {val_loss:.4f}")
