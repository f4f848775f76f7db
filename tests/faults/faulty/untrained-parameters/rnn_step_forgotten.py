import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_ as clip

torch.manual_seed(0)


class EchoNet(nn.Module):
    """Repeat the input of two steps ago."""

    def __init__(self):
        super().__init__()
        self.cell = nn.RNNCell(1, 24)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        h = x.new_zeros(x.shape[0], 24)
        outputs = []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            outputs.append(self.out(h))
        return torch.stack(outputs, 1)


def train(model, opt, steps):
    for i in range(steps):
        x = torch.rand(32, 12, 1) - 0.5
        loss = nn.functional.mse_loss(model(x)[:, 2:], x[:, :-2])
        opt.zero_grad()
        loss.backward()
        clip(model.parameters(), 1.0)
        if i % 40 == 0:
            print(f"step {i} loss {loss.item():.5f}")
    return loss.item()


net = EchoNet()
adam = torch.optim.Adam(net.parameters(), lr=5e-3)
final = train(net, adam, steps=200)
print("final loss", final)
