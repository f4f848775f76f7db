"""A two-layer network from plain tensors."""

import torch
from sklearn.datasets import load_digits

torch.manual_seed(0)
digits = load_digits()
X = torch.tensor(digits.data, dtype=torch.float32) / 16
Y = torch.tensor(digits.target)

HIDDEN = 48
W1 = torch.ones(64, HIDDEN).mul(0.05).requires_grad_()
b1 = torch.zeros(HIDDEN, requires_grad=True)
W2 = torch.ones(HIDDEN, 10).mul(0.05).requires_grad_()
b2 = torch.zeros(10, requires_grad=True)


def predict(x):
    hidden = torch.tanh(x @ W1 + b1)
    return hidden @ W2 + b2


lr = 0.1
for step in range(300):
    rows = torch.randint(0, len(X), (64,))
    loss = torch.nn.functional.cross_entropy(predict(X[rows]), Y[rows])
    loss.backward()
    with torch.no_grad():
        for p in (W1, b1, W2, b2):
            p -= lr * p.grad
            p.grad = None
    if step % 100 == 0:
        print(f"step {step} loss {loss.item():.3f}")
with torch.no_grad():
    print("accuracy", (predict(X).argmax(1) == Y).float().mean().item())
