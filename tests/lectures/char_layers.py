# ruff: noqa: F821 - test_lectures.py defines NAMES, STEPS, DROPOUT and KIND
"""Names, a letter at a time, with layers as plain classes; neighbouring letters are merged two by two, like a tree."""

import random

import microgradnet as torch
import microgradnet.nn.functional as F

with open(NAMES) as file:
    names = file.read().splitlines()
number = {letter: k for k, letter in enumerate("." + "".join(sorted(set("".join(names)))))}
random.seed(3)
random.shuffle(names)
SPAN = 8
before, after = [], []
for name in names:
    seen = [0] * SPAN
    for letter in name + ".":
        before.append(seen)
        after.append(number[letter])
        seen = seen[1:] + [number[letter]]
before, after = torch.tensor(before), torch.tensor(after)
print(before.shape, before.dtype, after.shape)


class Dense:
    def __init__(self, width, out, bias=True):
        self.weight = torch.randn((width, out)) / width**0.5
        self.bias = torch.zeros(out) if bias else None

    def __call__(self, x):
        z = x @ self.weight
        if self.bias is not None:
            z += self.bias
        return z

    def learnt(self):
        return [self.weight] if self.bias is None else [self.weight, self.bias]


class Normed:
    training, pace = True, 0.1

    def __init__(self, width):
        self.gain, self.shift = torch.ones(width), torch.zeros(width)
        self.mean, self.var = torch.zeros(width), torch.ones(width)

    def __call__(self, x):
        mean, var = self.mean, self.var
        if self.training:
            over = 0 if x.ndim == 2 else (0, 1)
            mean, var = x.mean(over, keepdim=True), x.var(over, keepdim=True)
            with torch.no_grad():
                self.mean = (1 - self.pace) * self.mean + self.pace * mean
                self.var = (1 - self.pace) * self.var + self.pace * var
        return self.gain * ((x - mean) / torch.sqrt(var + 1e-5)) + self.shift

    def learnt(self):
        return [self.gain, self.shift]


class Lookup:
    def __init__(self, rows, width):
        self.table = torch.randn((rows, width))

    def __call__(self, x):
        return self.table[x]

    def learnt(self):
        return [self.table]


class Plain:
    """A function, or a method of a tensor, as a layer."""

    def __init__(self, function):
        self.function = function

    def __call__(self, x):
        return self.function(x)

    def learnt(self):
        return []


def pairs_merged(x):
    B, T, C = x.shape
    x = x.view(B, T // 2, C * 2)
    return x.squeeze(1) if x.shape[1] == 1 else x


torch.manual_seed(3)
D, H = 8, 24
net = [Lookup(len(number), D)]
for width in (D, H, H):
    net += [Plain(pairs_merged), Dense(2 * width, H, bias=False), Normed(H), Plain(torch.tanh)]
net.append(Dense(H, len(number)))
with torch.no_grad():
    net[-1].weight *= 0.1
learnt = [p for layer in net for p in layer.learnt()]
for p in learnt:
    p.requires_grad = True


def run(x):
    outputs = []
    for layer in net:
        x = layer(x)
        outputs.append(x)
    return outputs


# %%
report, ratios = [], []
for _ in range(STEPS):
    pick = torch.randint(0, before.shape[0], (32,))
    outputs = run(before[pick])
    loss = F.cross_entropy(outputs[-1], after[pick])
    for out in outputs:
        out.retain_grad()
    for p in learnt:
        p.grad = None
    loss.backward()
    for p in learnt:
        p.data += -0.1 * p.grad
    report.append(loss.item())
    with torch.no_grad():
        ratios.append([(0.1 * p.grad.std() / p.data.std()).log10().item() for p in learnt if p.ndim == 2])

for layer, out in zip(net, outputs):
    if isinstance(layer, Plain) and layer.function is torch.tanh:
        print(f"mean {out.mean():+.2f}, std {out.std():.2f}, gradient {out.grad.std():.1e}, "
              f"saturated {(out.abs() > 0.97).float().mean() * 100:.1f}%")
print("updates to values:", torch.tensor(ratios)[-10:].mean(0))
for layer in net:
    layer.training = False
with torch.no_grad():
    report.append(F.cross_entropy(run(before)[-1], after).item())
