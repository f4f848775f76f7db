import torch
from torch import nn

torch.manual_seed(0)
hidden_size, seq_len, batch_size = 24, 20, 32
lstm = nn.LSTM(1, hidden_size)
readout = nn.Linear(hidden_size, 1)
optimizer = torch.optim.Adam([*lstm.parameters(), *readout.parameters()], lr=1e-2)
criterion = nn.MSELoss()

for iteration in range(150):
    phase = torch.rand(1, batch_size, 1) * 6.2832
    t = torch.arange(seq_len + 1).view(-1, 1, 1) * 0.4
    signal = torch.sin(t + phase)
    hidden, _ = lstm(signal[:-1])
    loss = criterion(readout(hidden), signal[1:])
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    if iteration % 30 == 0:
        print(f"iteration {iteration} loss {loss.item():.4f}")
print(f"final loss {loss.item():.5f}")
