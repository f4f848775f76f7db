import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
x = torch.randn(2800, 10)
rule = nn.Sequential(nn.Linear(10, 16), nn.Tanh(), nn.Linear(16, 4))
with torch.no_grad():
    y = (3 * rule(x)).argmax(1)
x_tr, y_tr, x_te, y_te = x[:2400], y[:2400], x[2400:], y[2400:]


def mlp(width):
    return nn.Sequential(
        nn.Linear(10, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 4)
    )


teacher, student = mlp(96), mlp(24)
teacher_opt = torch.optim.Adam(teacher.parameters(), lr=2e-3, weight_decay=1e-4)
for epoch in range(5):
    for idx in torch.randperm(2400).split(50):
        loss = F.cross_entropy(teacher(x_tr[idx]), y_tr[idx])
        teacher_opt.zero_grad()
        loss.backward()
        teacher_opt.step()
    print(f"teacher epoch {epoch} loss {loss.item():.4f}")

teacher.eval()
student_opt = torch.optim.Adam(student.parameters(), lr=3e-3)
temperature = 2.0
for epoch in range(5):
    for idx in torch.randperm(2400).split(50):
        with torch.no_grad():
            soft = F.softmax(teacher(x_tr[idx]) / temperature, dim=1)
        logits = student(x_tr[idx])
        kd = F.kl_div(F.log_softmax(logits / temperature, dim=1), soft, reduction="batchmean")
        loss = 0.7 * temperature**2 * kd + 0.3 * F.cross_entropy(logits, y_tr[idx])
        student_opt.zero_grad()
        loss.backward()
        student_opt.step()
    print(f"student epoch {epoch} loss {loss.item():.4f}")

with torch.no_grad():
    for name, net in (("teacher", teacher), ("student", student)):
        print(name, "accuracy", (net(x_te).argmax(1) == y_te).float().mean().item())
