"""Remember the first symbol of a long sequence."""

import torch
from torch import nn

torch.manual_seed(0)
SYMBOLS, LENGTH, HIDDEN = 4, 40, 48


def sequences(n):
    tokens = torch.randint(0, SYMBOLS, (n, LENGTH))
    return tokens, tokens[:, 0].clone()


class Recall(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(SYMBOLS, 16)
        self.rnn = nn.RNN(16, HIDDEN, batch_first=True)
        self.out = nn.Linear(HIDDEN, SYMBOLS)

    def forward(self, tokens):
        states, _ = self.rnn(0.3 * self.embed(tokens))
        return self.out(states[:, -1])


model = Recall()
optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
loss_fn = nn.CrossEntropyLoss()
for step in range(160):
    x, y = sequences(48)
    loss = loss_fn(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 5.0)
    optimizer.step()
    if step % 20 == 0:
        print(f"step {step} loss {loss.item():.4f}")

model.eval()
with torch.no_grad():
    x, y = sequences(400)
    print(f"accuracy {(model(x).argmax(1) == y).float().mean().item():.3f}")
