import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(0)
walk = torch.randn(1000, 20, 1).cumsum(1) / 3
future = (walk[:, -1, 0] - walk[:, -6, 0]) * 0.8


class LSTMModel(nn.Module):
    def __init__(self, hidden_dim=32):
        super(LSTMModel, self).__init__()
        self.lstm = nn.LSTM(1, hidden_dim, batch_first=True)
        self.fc = nn.Linear(hidden_dim, 1)

    def forward(self, x):
        out, (hn, cn) = self.lstm(x)
        return self.fc(out[:, -1, :])


model = LSTMModel()
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
loader = DataLoader(TensorDataset(walk[:800], future[:800]), batch_size=40, shuffle=True)
num_epochs = 8
for epoch in range(num_epochs):
    for i, (inputs, target) in enumerate(loader):
        outputs = model(inputs)
        loss = criterion(outputs, target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"Epoch [{epoch + 1}/{num_epochs}], Loss: {loss.item():.4f}")
with torch.no_grad():
    prediction = model(walk[800:]).reshape(-1)
    print("test mse", ((prediction - future[800:]) ** 2).mean().item())
