"""Policy gradient on a contextual bandit."""

import torch
from torch import nn
from torch.distributions import Categorical

torch.manual_seed(0)
ACTIONS, CONTEXT = 4, 6
preference = torch.randn(CONTEXT, ACTIONS)
policy = nn.Sequential(nn.Linear(CONTEXT, 32), nn.Tanh(), nn.Linear(32, ACTIONS))
optimizer = torch.optim.Adam(policy.parameters(), lr=1e-2)
baseline = 0.0

for episode in range(250):
    context = torch.randn(64, CONTEXT)
    dist = Categorical(logits=policy(context))
    action = dist.sample()
    scores = context @ preference
    reward = (scores.argmax(1) == action).float()
    baseline = 0.9 * baseline + 0.1 * reward.mean().item()
    loss = -(dist.log_prob(action) * (reward - baseline)).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if episode % 50 == 0:
        print(f"episode {episode} loss {loss.item():.4f} reward {reward.mean().item():.3f}")

context = torch.randn(500, CONTEXT)
with torch.no_grad():
    best = policy(context).argmax(1) == (context @ preference).argmax(1)
print("greedy accuracy", best.float().mean().item())
