"""Part-of-speech like tagging with padded batches and ignore_index."""

import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

PAD, WORDS, TAGS = 0, 30, 4


class Sentences(Dataset):
    def __init__(self, n):
        self.items = []
        for _ in range(n):
            words = torch.randint(1, WORDS, (int(torch.randint(4, 12, (1,))),))
            previous = torch.cat([torch.zeros(1, dtype=torch.long), words[:-1]])
            self.items.append((words, words % 2 + 2 * (previous > 15).long()))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


def collate(batch):
    batch = sorted(batch, key=lambda item: -len(item[0]))
    words, tags = zip(*batch, strict=True)
    lengths = torch.tensor([len(w) for w in words])
    return pad_sequence(words, True, PAD), pad_sequence(tags, True, -100), lengths


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(WORDS, 16, padding_idx=PAD)
        self.lstm = nn.LSTM(16, 24, batch_first=True, bidirectional=True)
        self.out = nn.Linear(48, TAGS)

    def forward(self, words, lengths):
        packed = pack_padded_sequence(self.embed(words), lengths, batch_first=True)
        states, _ = pad_packed_sequence(self.lstm(packed)[0], batch_first=True)
        return self.out(states)


torch.manual_seed(0)
train_loader = DataLoader(Sentences(640), batch_size=32, shuffle=True, collate_fn=collate)
test_loader = DataLoader(Sentences(160), batch_size=160, collate_fn=collate)
tagger = Tagger()
optimizer = torch.optim.Adam(tagger.parameters(), lr=1e-2)
criterion = nn.CrossEntropyLoss(ignore_index=-100)
for epoch in range(5):
    tagger.train()
    for words, tags, lengths in train_loader:
        loss = criterion(tagger(words, lengths).transpose(1, 2), tags)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    tagger.eval()
    with torch.no_grad():
        words, tags, lengths = next(iter(test_loader))
        logits = tagger(words, lengths)
        mask = tags != -100
        acc = (logits.argmax(-1) == tags)[mask].float().mean().item()
    print(f"epoch {epoch} loss {loss.item():.4f} tag accuracy {acc:.4f}")
