# ruff: noqa: F821 - test_lectures.py defines NAMES, STEPS, DROPOUT and KIND
"""Names, a letter at a time: by counting, by one layer, by a network whose normalisation and gradients are written out."""

import microgradnet as torch
import microgradnet.nn.functional as F

with open(NAMES) as file:
    names = file.read().splitlines()
alphabet = "." + "".join(sorted(set("".join(names))))
number = {letter: k for k, letter in enumerate(alphabet)}
V = len(alphabet)
pairs = [(number[a], number[b]) for name in names for a, b in zip("." + name, name + ".")]

# %% counting
count = torch.zeros((V, V), dtype=torch.int32)
for first, second in pairs:
    count[first, second] += 1
chance = (count + 1).float()
chance /= chance.sum(1, keepdim=True)
surprise = 0.0
for first, second in pairs:
    surprise -= torch.log(chance[first, second])
report = [(surprise / len(pairs)).item()]
print(f"by counting: {surprise / len(pairs):.4f} per letter")

dice = torch.Generator().manual_seed(7)
letter, word = 0, ""
while not word.endswith(".") and len(word) < 12:
    letter = torch.multinomial(chance[letter], num_samples=1, replacement=True, generator=dice).item()
    word += alphabet[letter]
print(word)

# %% the same by descent: one layer, from letters as rows with a single 1
first, second = torch.tensor([p[0] for p in pairs]), torch.tensor([p[1] for p in pairs])
total = first.nelement()
weight = torch.randn((V, V), generator=dice, requires_grad=True)
for _ in range(STEPS):
    strength = (F.one_hot(first, num_classes=V).float() @ weight).exp()
    share = strength / strength.sum(1, keepdims=True)
    loss = -share[torch.arange(total), second].log().mean() + 0.01 * (weight**2).mean()
    weight.grad = None
    loss.backward()
    weight.data += -20 * weight.grad
    report.append(loss.item())

# %% three letters tell the next
SPAN = 3


def windows(some):
    """Every letter of these names, and the SPAN before it."""
    before, after = [], []
    for name in some:
        seen = [0] * SPAN
        for letter in name + ".":
            before.append(seen)
            after.append(number[letter])
            seen = seen[1:] + [number[letter]]
    return torch.tensor(before), torch.tensor(after)


train, held_out = windows(names[:40]), windows(names[40:])
D, H = 10, 64
table = torch.randn((V, D), generator=dice)
W1 = torch.randn((SPAN * D, H), generator=dice) * (5 / 3) / (SPAN * D) ** 0.5
W2 = torch.randn((H, V), generator=dice) * 0.01
b2 = torch.randn(V, generator=dice) * 0
gain, shift = torch.ones((1, H)), torch.zeros((1, H))
usual_mean, usual_std = torch.zeros((1, H)), torch.ones((1, H))
learnt = [table, W1, W2, b2, gain, shift]
for p in learnt:
    p.requires_grad = True
print(sum(p.nelement() for p in learnt), "numbers to learn")

logs = []
for step in range(STEPS):
    pick = torch.randint(0, train[0].shape[0], (32,), generator=dice)
    x, y = train[0][pick], train[1][pick]
    z = table[x].view(-1, 30) @ W1
    mean, std = z.mean(0, keepdim=True), z.std(0, keepdim=True)
    with torch.no_grad():
        usual_mean = 0.9 * usual_mean + 0.1 * mean
        usual_std = 0.9 * usual_std + 0.1 * std
    a = torch.tanh(gain * (z - mean) / std + shift)
    loss = F.cross_entropy(a @ W2 + b2, y)
    for p in learnt:
        p.grad = None
    loss.backward()
    rate = 0.1 if step < STEPS / 2 else 0.02
    for p in learnt:
        p.data += -rate * p.grad
    logs.append(loss.log10().item())
    report.append(loss.item())
print("log10 of the loss, averaged:", torch.tensor(logs).view(-1, 10).mean(1))
print(f"{(a.abs() > 0.97).float().mean().item():.1%} of the activations are saturated")


@torch.no_grad()
def score(x, y):
    """The loss with the running statistics."""
    z = table[x].view(x.shape[0], -1) @ W1
    a = torch.tanh(gain * (z - usual_mean) / usual_std + shift)
    return F.cross_entropy(a @ W2 + b2, y).item()


report += [score(*train), score(*held_out)]

# %% the backward pass by hand, held against autograd's
x, y = train[0][:32], train[1][:32]
n = len(y)
rows = table[x]
flat = rows.view(n, -1)
z = flat @ W1
centred = z - z.sum(0, keepdim=True) / n
spread = ((centred**2).sum(0, keepdim=True) / (n - 1) + 1e-5) ** -0.5
normed = centred * spread
a = torch.tanh(gain * normed + shift)
logits = a @ W2 + b2
shifted = logits - logits.max(1, keepdim=True).values
share = shifted.exp() * shifted.exp().sum(1, keepdims=True) ** -1
loss = -share.log()[range(n), y].mean()
for p in learnt:
    p.grad = None
for t in (logits, a, z, flat, rows):
    t.retain_grad()
loss.backward()


def agree(name, mine, tensor):
    difference = (mine - tensor.grad).abs().max().item()
    assert torch.allclose(mine, tensor.grad, rtol=1e-4, atol=1e-6), f"{name} is off by {difference}"


with torch.no_grad():
    d_logits = F.softmax(logits, 1)
    d_logits[range(n), y] -= 1
    d_logits /= n
    agree("logits", d_logits, logits)
    agree("W2", a.T @ d_logits, W2)
    agree("b2", d_logits.sum(0), b2)
    d_a = d_logits @ W2.T
    agree("a", d_a, a)
    d_normed = (1.0 - a**2) * d_a
    agree("gain", (normed * d_normed).sum(0, keepdim=True), gain)
    agree("shift", d_normed.sum(0, keepdim=True), shift)
    d_normed = gain * d_normed
    d_z = spread / n * (n * d_normed - d_normed.sum(0) - n / (n - 1) * normed * (d_normed * normed).sum(0))
    agree("z", d_z, z)
    agree("W1", flat.t() @ d_z, W1)
    d_rows = (d_z @ W1.t()).view(rows.shape)
    agree("rows", d_rows, rows)
    d_table = torch.zeros_like(table)
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            d_table[x[i, j]] += d_rows[i, j]
    agree("table", d_table, table)
report.append(table.grad.norm().item())

# %% new names
for _ in range(3):
    word, seen = "", [0] * SPAN
    while not word.endswith(".") and len(word) < 12:
        z = table[torch.tensor([seen])].view(1, -1) @ W1
        logits = torch.tanh(gain * (z - usual_mean) / usual_std + shift) @ W2 + b2
        letter = torch.multinomial(F.softmax(logits, dim=1), num_samples=1, generator=dice).item()
        seen = seen[1:] + [letter]
        word += alphabet[letter]
    print(word)
