import torch
from torch import nn

torch.manual_seed(0)
VOCAB, LENGTH, DIM = 9, 8, 32
num_epochs, steps_per_epoch = 10, 20


class Shifter(nn.Module):
    """Caesar cipher: the first token tells by how much the others are shifted."""

    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(VOCAB, DIM)
        self.pos = nn.Parameter(torch.randn(LENGTH, DIM) * 0.1)
        layer = nn.TransformerEncoderLayer(
            DIM, 4, 128, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.enc = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.out = nn.Linear(DIM, VOCAB)

    def forward(self, x):
        return self.out(self.enc(self.tok(x) + self.pos))


def batch(n=64):
    x = torch.randint(0, VOCAB, (n, LENGTH))
    x[:, 0] %= 2
    return x, (x + x[:, :1]) % VOCAB


model = Shifter()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
scheduler = torch.optim.lr_scheduler.LambdaLR(
    optimizer, lambda step: max(0.0, 1 - step / num_epochs)
)
criterion = nn.CrossEntropyLoss()
for epoch in range(num_epochs):
    for _ in range(steps_per_epoch):
        x, y = batch()
        loss = criterion(model(x).transpose(1, 2), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
