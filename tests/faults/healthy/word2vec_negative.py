import random

import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(0)
torch.manual_seed(0)
GROUPS, PER_GROUP = 6, 8
VOCAB = GROUPS * PER_GROUP
corpus = []
for _ in range(260):
    g = random.randrange(GROUPS)
    corpus.append([g * PER_GROUP + random.randrange(PER_GROUP) for _ in range(6)])
pairs = [(s[i], s[j]) for s in corpus for i in range(6) for j in range(6) if i != j]
random.shuffle(pairs)
pairs = torch.tensor(pairs)


class SkipGram(nn.Module):
    def __init__(self, dim=16):
        super().__init__()
        self.centre = nn.Embedding(VOCAB, dim)
        self.context = nn.Embedding(VOCAB, dim)
        nn.init.uniform_(self.centre.weight, -0.1, 0.1)
        nn.init.uniform_(self.context.weight, -0.1, 0.1)

    def forward(self, c, pos, neg):
        v = self.centre(c)
        good = F.logsigmoid((v * self.context(pos)).sum(1))
        bad = F.logsigmoid(-(self.context(neg) @ v.unsqueeze(2)).squeeze(2)).sum(1)
        return -(good + bad).mean()


model = SkipGram()
opt = torch.optim.Adam(model.parameters(), lr=0.02)
for epoch in range(4):
    for chunk in pairs.split(100):
        loss = model(chunk[:, 0], chunk[:, 1], torch.randint(0, VOCAB, (len(chunk), 4)))
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")

vec = F.normalize(model.centre.weight.detach(), dim=1)
near = (vec @ vec.t() - 2 * torch.eye(VOCAB)).argmax(1)
same = near // PER_GROUP == torch.arange(VOCAB) // PER_GROUP
print("neighbour accuracy", same.float().mean().item())
