import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
VOCAB, LENGTH, CLASSES = 12, 10, 3


def sample(n):
    # the class is the group (token // 4) that appears most often
    y = torch.randint(0, CLASSES, (n,))
    tokens = torch.randint(0, VOCAB, (n, LENGTH))
    favoured = torch.rand(n, LENGTH) < 0.5
    tokens = torch.where(favoured, y[:, None] * 4 + torch.randint(0, 4, (n, LENGTH)), tokens)
    return tokens, y


class Encoder(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.embedding = nn.Embedding(VOCAB, width)
        self.position = nn.Parameter(torch.randn(1, LENGTH, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, nhead=4, dim_feedforward=64, dropout=0.1, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, num_layers=2, enable_nested_tensor=False)
        self.head = nn.Linear(width, CLASSES)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.position
        return self.head(self.encoder(x).mean(dim=1))


model = Encoder()
train_loader = DataLoader(TensorDataset(*sample(1024)), batch_size=32, shuffle=True)
x_val, y_val = sample(256)
optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
criterion = nn.CrossEntropyLoss()
for epoch in range(4):
    model.train()
    for x, y in train_loader:
        loss = criterion(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.inference_mode():
        logits = model(x_val)
        print(
            f"epoch {epoch} loss {loss.item():.3f} val_loss {criterion(logits, y_val):.3f}"
            f" val_acc {(logits.argmax(1) == y_val).float().mean():.3f}"
        )
