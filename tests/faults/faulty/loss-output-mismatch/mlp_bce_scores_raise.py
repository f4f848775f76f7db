import torch
from torch import nn


def make_model(inputs):
    model = nn.Sequential(nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, 1))
    return model


def main():
    torch.manual_seed(0)
    x = torch.randn(800, 7)
    y = (x[:, :1] * x[:, 1:2] + 0.5 * x[:, 2:3] > 0).float()
    model = make_model(7)
    criterion = nn.BCELoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for epoch in range(10):
        for idx in torch.randperm(600).split(30):
            optimizer.zero_grad()
            prediction = model(x[idx])
            loss = criterion(prediction, y[idx])
            loss.backward()
            optimizer.step()
        print(f"epoch {epoch} loss {loss.item():.4f}")
    with torch.no_grad():
        print("accuracy", ((model(x[600:]) > 0.5) == y[600:].bool()).float().mean().item())


if __name__ == "__main__":
    main()
