import torch
import torch.nn as nn

torch.manual_seed(0)
VOCAB, TOPICS = 200, 4
word_probs = torch.softmax(2.0 * torch.randn(TOPICS, VOCAB), dim=1)


def documents(count):
    topic = torch.randint(0, TOPICS, (count,))
    lengths = torch.randint(8, 25, (count,))
    words = [
        torch.multinomial(word_probs[t], int(k), True) for t, k in zip(topic, lengths, strict=True)
    ]
    return words, topic


class BagOfWords(nn.Module):
    def __init__(self):
        super().__init__()
        self.bag = nn.EmbeddingBag(VOCAB, 24, mode="mean")
        self.fc = nn.Linear(24, TOPICS)

    def forward(self, words, offsets):
        return self.fc(torch.relu(self.bag(words, offsets)))


def collate(words):
    lengths = torch.tensor([len(w) for w in words])
    return torch.cat(words), torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]])


words, topic = documents(900)
model = BagOfWords()
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.1)
for epoch in range(8):
    total = 0.0
    for idx in torch.randperm(700).split(35):
        flat, offsets = collate([words[i] for i in idx])
        loss = nn.functional.cross_entropy(model(flat, offsets), topic[idx])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    with torch.no_grad():
        flat, offsets = collate(words[700:])
        accuracy = (model(flat, offsets).argmax(1) == topic[700:]).float().mean().item()
    print(f"epoch {epoch} loss {total / 20:.4f} test accuracy {accuracy:.3f}")
