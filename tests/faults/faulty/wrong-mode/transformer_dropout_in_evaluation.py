import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)
VOCAB, LENGTH, DIM = 8, 10, 32


def arithmetic_sequences(n):
    start, step = torch.randint(0, VOCAB, (2, n, 1))
    seq = (start + step * torch.arange(LENGTH + 1)) % VOCAB
    return seq[:, :-1], seq[:, 1:]


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(VOCAB, DIM)
        self.pos = nn.Parameter(0.1 * torch.randn(LENGTH, DIM))
        layer = nn.TransformerEncoderLayer(DIM, 4, 64, dropout=0.3, batch_first=True)
        self.enc = nn.TransformerEncoder(layer, 2)
        self.out = nn.Linear(DIM, VOCAB)
        self.mask = nn.Transformer.generate_square_subsequent_mask(LENGTH)

    def forward(self, x):
        return self.out(self.enc(self.emb(x) + self.pos, mask=self.mask, is_causal=True))


@torch.no_grad()
def perplexity(model, x, y):
    return F.cross_entropy(model(x).transpose(1, 2)[..., 2:], y[:, 2:])


x, y = arithmetic_sequences(1100)
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
for epoch in range(10):
    for idx in torch.randperm(900).split(45):
        loss = F.cross_entropy(model(x[idx]).transpose(1, 2)[..., 2:], y[idx][:, 2:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held_out = perplexity(model, x[900:], y[900:])
    print(f"epoch {epoch} loss {loss.item():.4f} held out {held_out.item():.4f}")
