import torch
import torch.nn as nn

torch.manual_seed(0)
x = torch.randn(700, 6)
y = (x[:, :1] * 1.5 + torch.sin(2 * x[:, 1:2]) + x[:, 2:3] ** 2 - 1) / 2


class BatchNormRegressor(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin1 = nn.Linear(6, 40)
        self.bn1 = nn.BatchNorm1d(40)
        self.lin2 = nn.Linear(40, 40)
        self.bn2 = nn.BatchNorm1d(40)
        self.lin3 = nn.Linear(40, 1)

    def forward(self, x):
        x = torch.relu(self.bn1(self.lin1(x)))
        x = torch.relu(self.bn2(self.lin2(x)))
        return self.lin3(x)


EPOCHS, chunk = 1, 2
regressor = BatchNormRegressor()
opt = torch.optim.Adam(regressor.parameters(), lr=3e-3)
mse = nn.MSELoss()
regressor.train()
for epoch in range(EPOCHS):
    for rows in torch.randperm(600).split(chunk):
        loss = mse(regressor(x[rows]), y[rows])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print(f"epoch {epoch} loss {loss.item():.4f}")
regressor.eval()
with torch.no_grad():
    print("test loss", mse(regressor(x[600:]), y[600:]).item())
