"""Reverse a short sequence."""

import torch
from torch import nn

SEED = 0
CLIP = 0.002
torch.manual_seed(SEED)
N_TOKENS, LENGTH, WIDTH = 6, 6, 32


class Reverser(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(N_TOKENS, WIDTH)
        self.positions = nn.Parameter(torch.randn(LENGTH, WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, 2, 64, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.logits = nn.Linear(WIDTH, N_TOKENS)

    def forward(self, x):
        return self.logits(self.encoder(self.tokens(x) + self.positions))


model = Reverser()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
criterion = nn.CrossEntropyLoss()
for step in range(240):
    x = torch.randint(0, N_TOKENS, (48, LENGTH))
    loss = criterion(model(x).flatten(0, 1), x.flip(1).flatten())
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), CLIP)
    optimizer.step()
    if step % 40 == 0:
        print(f"step {step}: {loss.item():.4f}")
model.eval()
with torch.no_grad():
    x = torch.randint(0, N_TOKENS, (200, LENGTH))
    print("token accuracy", (model(x).argmax(-1) == x.flip(1)).float().mean().item())
