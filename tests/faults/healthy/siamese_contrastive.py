"""One encoder applied to two views, InfoNCE over the batch."""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)
N, DIM = 600, 24
prototypes = torch.randn(30, DIM)
kind = torch.randint(0, 30, (N,))


def view(idx):
    return prototypes[kind[idx]] + 0.5 * torch.randn(len(idx), DIM)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1 = nn.Linear(DIM, 64)
        self.lin2 = nn.Linear(64, 16)

    def forward(self, x):
        return F.normalize(self.lin2(F.elu(self.lin1(x))), dim=1)


encoder = Encoder()
temperature = nn.Parameter(torch.tensor(0.0))
opt = torch.optim.Adam([*encoder.parameters(), temperature], lr=2e-3)
for epoch in range(10):
    losses = []
    for idx in torch.randperm(N).split(40):
        a, b = encoder(view(idx)), encoder(view(idx))
        similarity = a @ b.t() * (temperature + 2.0).exp()
        target = (kind[idx][:, None] == kind[idx][None]).float()
        target = target / target.sum(1, keepdim=True)
        loss = -(target * F.log_softmax(similarity, dim=1)).sum(1).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print(f"epoch {epoch} loss {sum(losses) / len(losses):.4f}")

with torch.no_grad():
    everyone = torch.arange(N)
    gallery, query = encoder(view(everyone)), encoder(view(everyone))
    hit = kind[(query @ gallery.t()).argmax(1)] == kind
print("retrieval accuracy", hit.float().mean().item())
