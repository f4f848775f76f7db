import torch
import torch.nn as nn

torch.manual_seed(0)


class Accumulator(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(input_size=1, hidden_size=32, batch_first=True)
        self.linear = nn.Linear(32, 1)

    def forward(self, x):
        out, _ = self.lstm(x)
        return self.linear(out)


def batch(n=32, length=12):
    x = torch.randn(n, length, 1)
    return x, x.cumsum(1) / 3


model = Accumulator()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
loss_function = nn.MSELoss()
for i in range(200):
    model.zero_grad()
    x, y = batch()
    loss = loss_function(model(x), y)
    loss.backward()
    nn.utils.clip_grad_value_(model.parameters(), clip_value=1e-5)
    optimizer.step()
    if i % 40 == 0:
        print(f"{i} loss {loss.item():.4f}")
with torch.no_grad():
    x, y = batch(300)
    print("test loss", loss_function(model(x), y).item())
