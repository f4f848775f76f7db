import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.linspace(-2, 2, 120).unsqueeze(1)
y = torch.sin(2.5 * x) * torch.exp(-0.3 * x) + 0.02 * torch.randn_like(x)

model = nn.Sequential(nn.Linear(1, 20), nn.Tanh(), nn.Linear(20, 20), nn.Tanh(), nn.Linear(20, 1))
criterion = nn.MSELoss()
optimizer = torch.optim.LBFGS(
    model.parameters(), lr=0.5, max_iter=5, history_size=20, line_search_fn="strong_wolfe"
)


def closure():
    optimizer.zero_grad()
    loss = criterion(model(x), y)
    loss.backward()
    return loss


for it in range(25):
    loss = optimizer.step(closure)
    if it % 5 == 0:
        print(f"iteration {it} loss {loss.item():.6f}")
print(f"final loss {criterion(model(x), y).item():.6f}")
