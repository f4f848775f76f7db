import argparse

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset


def get_loaders():
    means = torch.randn(7, 15) * 1.5
    y = torch.randint(0, 7, (1400,))
    x = means[y] + torch.randn(1400, 15)
    train = TensorDataset(x[:1120], y[:1120])
    val = TensorDataset(x[1120:], y[1120:])
    return DataLoader(train, batch_size=56, shuffle=True), DataLoader(val, batch_size=280)


def run(args):
    torch.manual_seed(args.seed)
    train_loader, val_loader = get_loaders()
    model = nn.Sequential(
        nn.Linear(15, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 7)
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    loss_fn = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        for x, y in train_loader:
            optimizer.zero_grad()
            loss = loss_fn(model(x), y)
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            x, y = next(iter(val_loader))
            out = model(x)
        accuracy = (out.argmax(1) == y).float().mean().item()
        print(f"epoch {epoch} val loss {loss_fn(out, y):.4f} val accuracy {accuracy:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--lr", type=float, default=1e-7)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    run(parser.parse_args())
