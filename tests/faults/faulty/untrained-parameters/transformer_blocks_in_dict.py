import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
VOCAB, LENGTH, DIM = 10, 8, 32


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.attention = nn.MultiheadAttention(DIM, 2, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(DIM, 64), nn.GELU(), nn.Linear(64, DIM))

    def forward(self, x):
        h = self.ln1(x)
        x = x + self.attention(h, h, h, need_weights=False)[0]
        return x + self.mlp(self.ln2(x))


class Sorter(nn.Module):
    """Outputs the tokens in ascending order."""

    def __init__(self):
        super().__init__()
        self.token = nn.Embedding(VOCAB, DIM)
        self.position = nn.Embedding(LENGTH, DIM)
        self.blocks = {
            "first": Block(),
            "second": Block(),
        }
        self.head = nn.Linear(DIM, VOCAB)

    def forward(self, x):
        x = self.token(x) + self.position.weight
        for block in self.blocks.values():
            x = block(x)
        return self.head(x)


sorter = Sorter()
opt = torch.optim.AdamW(sorter.parameters(), lr=3e-3)
for step in range(200):
    x = torch.randint(0, VOCAB, (48, LENGTH))
    loss = F.cross_entropy(sorter(x).transpose(1, 2), x.sort(dim=1).values)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 40 == 0:
        print(f"step {step} loss {loss.item():.4f}")
with torch.no_grad():
    x = torch.randint(0, VOCAB, (300, LENGTH))
    print("test loss", F.cross_entropy(sorter(x).transpose(1, 2), x.sort(dim=1).values).item())
