import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(0)


class BinaryCNN(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 10, 3, padding=1)
        self.out = nn.Linear(10 * 25, 1)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv(x)), 2)
        return F.softmax(self.out(x.flatten(1)), dim=-1)


label = torch.randint(0, 2, (800, 1)).float()
ramp = torch.linspace(-1, 1, 10)
image = torch.where(label[:, :, None, None] == 1, ramp, ramp[:, None].expand(10, 10))
image = image + 0.7 * torch.randn(800, 1, 10, 10)

cnn = BinaryCNN()
sgd = torch.optim.SGD(cnn.parameters(), lr=0.1, momentum=0.9)
for epoch in range(6):
    for batch in torch.randperm(640).split(32):
        loss = F.mse_loss(cnn(image[batch]), label[batch])
        sgd.zero_grad()
        loss.backward()
        sgd.step()
    print("epoch", epoch, "loss", loss.item())
with torch.no_grad():
    print("accuracy", ((cnn(image[640:]) > 0.5) == label[640:].bool()).float().mean().item())
