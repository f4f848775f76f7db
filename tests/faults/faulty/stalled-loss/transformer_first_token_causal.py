import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
WORDS, LENGTH, DIM = 16, 12, 32
CLS = WORDS


def sample(n):
    y = torch.randint(0, 4, (n,))
    x = torch.randint(0, WORDS, (n, LENGTH))
    topical = torch.rand(n, LENGTH) < 0.4
    x[topical] = (y[:, None] * 4 + torch.randint(0, 4, (n, LENGTH)))[topical]
    return torch.cat([torch.full((n, 1), CLS), x], dim=1), y


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attn = nn.MultiheadAttention(DIM, 4, batch_first=True)
        self.ff = nn.Sequential(nn.Linear(DIM, 64), nn.GELU(), nn.Linear(64, DIM))
        self.n1, self.n2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)

    def forward(self, x, mask):
        h = self.n1(x)
        x = x + self.attn(h, h, h, attn_mask=mask, need_weights=False)[0]
        return x + self.ff(self.n2(x))


class Topic(nn.Module):
    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(WORDS + 1, DIM)
        self.place = nn.Embedding(LENGTH + 1, DIM)
        self.blocks = nn.ModuleList([Block(), Block()])
        self.classify = nn.Linear(DIM, 4)
        mask = torch.triu(torch.ones(LENGTH + 1, LENGTH + 1, dtype=torch.bool), diagonal=1)
        self.register_buffer("mask", mask)

    def forward(self, tokens):
        x = self.word(tokens) + self.place.weight
        for block in self.blocks:
            x = block(x, self.mask)
        return self.classify(x[:, 0])


model = Topic()
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(160):
    tokens, topic = sample(48)
    loss = F.cross_entropy(model(tokens), topic)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step} loss {loss.item():.4f}")
model.eval()
tokens, topic = sample(400)
with torch.no_grad():
    logits = model(tokens)
print(f"val loss {F.cross_entropy(logits, topic):.4f}")
print(f"val accuracy {(logits.argmax(1) == topic).float().mean():.4f}")
