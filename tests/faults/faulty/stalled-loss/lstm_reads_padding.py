import torch
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader

torch.manual_seed(0)
PAD, VOCAB, MAX_LEN = 0, 12, 120


def review():
    length = int(torch.randint(5, 12, (1,)))
    label = int(torch.randint(0, 2, (1,)))
    words = torch.randint(1, VOCAB, (length,))
    opinion = torch.rand(length) < 0.5
    words[opinion] = torch.randint(1, 6, (int(opinion.sum()),)) + 5 * label
    return words, label


def collate(batch):
    words, labels = zip(*batch, strict=True)
    lengths = torch.tensor([len(w) for w in words])
    padded = pad_sequence([*words, torch.zeros(MAX_LEN, dtype=torch.long)], batch_first=True)
    return padded[:-1], lengths, torch.tensor(labels)


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, 12, padding_idx=PAD)
        self.lstm = nn.LSTM(12, 20, batch_first=True)
        self.fc = nn.Linear(20, 2)

    def forward(self, tokens, lengths):
        states, _ = self.lstm(self.embed(tokens))
        return self.fc(states[:, -1])


train = DataLoader([review() for _ in range(640)], 32, shuffle=True, collate_fn=collate)
test = DataLoader([review() for _ in range(200)], 200, collate_fn=collate)
model = Sentiment()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(5):
    total = 0.0
    for tokens, lengths, labels in train:
        loss = nn.functional.cross_entropy(model(tokens, lengths), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    print(f"epoch {epoch} loss {total / len(train):.4f}")
with torch.no_grad():
    tokens, lengths, labels = next(iter(test))
    print("accuracy", (model(tokens, lengths).argmax(1) == labels).float().mean().item())
