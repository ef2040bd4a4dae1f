# ruff: noqa: F821 - test_scripts.py defines STEPS and ROOT
"""The network of a player that learns the value of its moves, with a second one that follows it slowly."""

import random
from collections import deque, namedtuple

import microgradnet as torch
import microgradnet.nn as nn
import microgradnet.nn.functional as F
import microgradnet.optim as optim

torch.manual_seed(5)
random.seed(5)
device = torch.device("cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu")
Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class ReplayMemory:
    def __init__(self, capacity):
        self.memory = deque([], maxlen=capacity)

    def push(self, *args):
        self.memory.append(Transition(*args))

    def sample(self, batch_size):
        return random.sample(self.memory, batch_size)

    def __len__(self):
        return len(self.memory)


class DQN(nn.Module):
    def __init__(self, n_observations, n_actions):
        super().__init__()
        self.layer1 = nn.Linear(n_observations, 64)
        self.layer2 = nn.Linear(64, 64)
        self.layer3 = nn.Linear(64, n_actions)

    def forward(self, x):
        x = F.relu(self.layer1(x))
        x = F.relu(self.layer2(x))
        return self.layer3(x)


BATCH_SIZE, GAMMA, TAU, LR = 32, 0.99, 0.005, 3e-4
policy_net = DQN(4, 2).to(device)
target_net = DQN(4, 2).to(device)
target_net.load_state_dict(policy_net.state_dict())
optimizer = optim.AdamW(policy_net.parameters(), lr=LR, amsgrad=True)
memory = ReplayMemory(1000)
report = []


def select_action(state, eps_threshold=0.5):
    if random.random() > eps_threshold:
        with torch.no_grad():
            return policy_net(state).max(1).indices.view(1, 1)
    return torch.tensor([[random.randrange(2)]], device=device, dtype=torch.long)


def optimize_model():
    if len(memory) < BATCH_SIZE:
        return
    transitions = memory.sample(BATCH_SIZE)
    batch = Transition(*zip(*transitions))
    non_final_mask = torch.tensor(tuple(map(lambda s: s is not None, batch.next_state)), device=device,
                                  dtype=torch.bool)
    non_final_next_states = torch.cat([s for s in batch.next_state if s is not None])
    state_batch = torch.cat(batch.state)
    action_batch = torch.cat(batch.action)
    reward_batch = torch.cat(batch.reward)
    state_action_values = policy_net(state_batch).gather(1, action_batch)
    next_state_values = torch.zeros(BATCH_SIZE, device=device)
    with torch.no_grad():
        next_state_values[non_final_mask] = target_net(non_final_next_states).max(1).values
    expected_state_action_values = (next_state_values * GAMMA) + reward_batch
    criterion = nn.SmoothL1Loss()
    loss = criterion(state_action_values, expected_state_action_values.unsqueeze(1))
    optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_value_(policy_net.parameters(), 100)
    norm = torch.nn.utils.clip_grad_norm_(policy_net.parameters(), max_norm=1.0)
    optimizer.step()
    report.extend([loss.item(), norm.item()])


state = torch.tensor([0.1, 0.2, -0.1, 0.0], dtype=torch.float32, device=device).unsqueeze(0)
for t in range(STEPS + BATCH_SIZE):
    action = select_action(state)
    push = 2.0 * action.item() - 1
    next_state = (0.9 * state + 0.1 * push + 0.05 * torch.randn(1, 4)).clamp(-2, 2)
    done = bool(next_state.abs().max() > 0.9)
    reward = torch.tensor([1.0 - float(done)], device=device)
    memory.push(state, action, None if done else next_state, reward)
    state = torch.zeros(1, 4) if done else next_state
    optimize_model()
    target_net_state_dict = target_net.state_dict()
    policy_net_state_dict = policy_net.state_dict()
    for key in policy_net_state_dict:
        target_net_state_dict[key] = policy_net_state_dict[key] * TAU + target_net_state_dict[key] * (1 - TAU)
    target_net.load_state_dict(target_net_state_dict)
for target_param, param in zip(target_net.parameters(), policy_net.parameters()):
    target_param.data.mul_(1.0 - TAU)
    target_param.data.add_(TAU * param.data)
    target_param.data.copy_(TAU * param.data + (1.0 - TAU) * target_param.data)
report.extend(p.detach().sum().item() for p in target_net.parameters())
torch.save({"epoch": STEPS, "model": policy_net.state_dict(), "optimizer": optimizer.state_dict()}, ROOT + "/dqn.pt")
checkpoint = torch.load(ROOT + "/dqn.pt", map_location=device)
policy_net.load_state_dict(checkpoint["model"])
optimizer.load_state_dict(checkpoint["optimizer"])
optimize_model()
