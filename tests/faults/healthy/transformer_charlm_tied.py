"""Character model with tied input and output embeddings, warm-up and cosine."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

TEXT = (
    "the quick brown fox jumps over the lazy dog. a journey of a thousand miles begins with "
    "a single step. all that glitters is not gold. the early bird catches the worm. actions "
    "speak louder than words. practice makes perfect. better late than never, they say. "
) * 4
torch.manual_seed(0)
chars = sorted(set(TEXT))
stoi = {c: i for i, c in enumerate(chars)}
data = torch.tensor([stoi[c] for c in TEXT])
block, dim, heads, steps = 24, 48, 4, 150


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.proj = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, x):
        b, t, _ = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, heads, dim // heads).permute(2, 0, 3, 1, 4)
        att = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.proj(att.transpose(1, 2).reshape(b, t, dim))
        return x + self.mlp(self.ln2(x))


class CharLM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(len(chars), dim)
        self.pos = nn.Embedding(block, dim)
        self.layers = nn.Sequential(Layer(), Layer())
        self.ln = nn.LayerNorm(dim)
        self.lm_head = nn.Linear(dim, len(chars), bias=False)
        self.lm_head.weight = self.tok.weight
        nn.init.normal_(self.tok.weight, std=0.02)
        nn.init.normal_(self.pos.weight, std=0.02)

    def forward(self, idx):
        x = self.tok(idx) + self.pos.weight[: idx.size(1)]
        return self.lm_head(self.ln(self.layers(x)))


def lr_at(step, peak=5e-3, warm=15):
    if step < warm:
        return peak * (step + 1) / warm
    return 0.1 * peak + 0.45 * peak * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))


model = CharLM()
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3, betas=(0.9, 0.95), weight_decay=0.1)
for step in range(steps):
    for group in optimizer.param_groups:
        group["lr"] = lr_at(step)
    start = torch.randint(0, len(data) - block - 1, (24,))
    x = torch.stack([data[s : s + block] for s in start])
    y = torch.stack([data[s + 1 : s + block + 1] for s in start])
    loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    if step % 25 == 0 or step == steps - 1:
        print(f"step {step} loss {loss.item():.4f}")
