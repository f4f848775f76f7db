"""Logistic regression on breast cancer data, written out."""

import torch
from sklearn.datasets import load_breast_cancer

torch.manual_seed(0)
bunch = load_breast_cancer()
x = torch.tensor(bunch.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
t = torch.tensor(bunch.target, dtype=torch.float32)

weight = torch.zeros(30, requires_grad=True)
bias = torch.zeros(1, requires_grad=True)
lr = 0.5
for step in range(400):
    rows = torch.randint(0, len(x), (64,))
    p = torch.sigmoid(x[rows] @ weight + bias)
    loss = torch.nn.functional.binary_cross_entropy(p, t[rows])
    loss.backward()
    weight.data -= lr * weight.grad
    bias.data -= lr * bias.grad
    if step % 50 == 0:
        print(f"step {step} loss {loss.item():.3f}")
with torch.no_grad():
    p = torch.sigmoid(x @ weight + bias)
    print("loss", torch.nn.functional.binary_cross_entropy(p, t).item())
