# ruff: noqa: F821 - test_lectures.py defines NAMES, STEPS, DROPOUT and KIND
"""A small transformer that writes: attention built up from means over the past, then in a form made for speed."""

import math
from dataclasses import dataclass

import microgradnet as torch
import microgradnet.nn as nn
from microgradnet.nn import functional as F

with open(NAMES) as file:
    text = file.read()
alphabet = sorted(set(text))
number = {letter: k for k, letter in enumerate(alphabet)}
stream = torch.tensor([number[letter] for letter in text], dtype=torch.long)
border = int(0.9 * len(stream))
parts = {"train": stream[:border], "val": stream[border:]}
T, B, V = 16, 8, len(alphabet)
device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(11)


def batch(part):
    data = parts[part]
    ix = torch.randint(len(data) - T, (B,))
    x = torch.stack([data[i : i + T] for i in ix])
    y = torch.stack([data[i + 1 : i + T + 1] for i in ix])
    return x.to(device), y.to(device)


# %% the mean over everything so far: by loops, as a product, as a softmax of what may be seen, as attention
x = torch.randn(4, 8, 2)
slow = torch.zeros((4, 8, 2))
for b in range(4):
    for t in range(8):
        slow[b, t] = torch.mean(x[b, : t + 1], 0)
lower = torch.tril(torch.ones(8, 8))
product = lower / lower.sum(1, keepdim=True) @ x
wei = F.softmax(torch.zeros((8, 8)).masked_fill(lower == 0, float("-inf")), dim=-1)
blind = F.scaled_dot_product_attention(torch.zeros_like(x), x, x, is_causal=True)
for other in (product, wei @ x, blind):
    assert torch.allclose(slow, other, atol=1e-6)


# %% a head, several of them in a list, layers of these
class Head(nn.Module):
    def __init__(self, width, size):
        super().__init__()
        self.q, self.k, self.v = (nn.Linear(width, size, bias=False) for _ in range(3))
        self.drop = nn.Dropout(DROPOUT)
        self.register_buffer("tril", torch.tril(torch.ones(T, T)))

    def forward(self, x):
        t = x.shape[1]
        wei = self.q(x) @ self.k(x).transpose(-2, -1) * self.k.out_features**-0.5
        wei = wei.masked_fill(self.tril[:t, :t] == 0, float("-inf"))
        return self.drop(F.softmax(wei, dim=-1)) @ self.v(x)


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = nn.ModuleList([Head(width, width // heads) for _ in range(heads)])
        self.join = nn.Linear(width, width)
        self.think = nn.Sequential(
            nn.Linear(width, 4 * width), nn.ReLU(), nn.Linear(4 * width, width), nn.Dropout(DROPOUT))
        self.before_heads, self.before_thinking = nn.LayerNorm(width), nn.LayerNorm(width)
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, x):
        seen = self.before_heads(x)
        x = x + self.drop(self.join(torch.cat([head(seen) for head in self.heads], dim=-1)))
        return x + self.think(self.before_thinking(x))


class Writer(nn.Module):
    def __init__(self, width=32, heads=4, layers=2):
        super().__init__()
        self.letters, self.places = nn.Embedding(V, width), nn.Embedding(T, width)
        self.layers = nn.Sequential(*[Layer(width, heads) for _ in range(layers)])
        self.norm = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, V)
        self.apply(self.start)

    def start(self, module):
        if isinstance(module, (nn.Linear, nn.Embedding)):
            nn.init.normal_(module.weight, mean=0.0, std=0.02)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)

    def forward(self, x, y=None):
        h = self.letters(x) + self.places(torch.arange(x.shape[1], device=device))
        logits = self.lm_head(self.norm(self.layers(h)))
        if y is None:
            return logits, None
        b, t, v = logits.shape
        return logits, F.cross_entropy(logits.view(b * t, v), y.view(b * t))

    def generate(self, x, count):
        for _ in range(count):
            logits, _ = self(x[:, -T:])
            probs = F.softmax(logits[:, -1, :], dim=-1)
            x = torch.cat((x, torch.multinomial(probs, num_samples=1)), dim=1)
        return x


model = Writer().to(device)
print(f"{sum(p.numel() for p in model.parameters()):,} parameters")

# %%
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
report = []


@torch.no_grad()
def evaluate(times=3):
    model.eval()
    means = {}
    for part in parts:
        losses = torch.zeros(times)
        for k in range(times):
            losses[k] = model(*batch(part))[1].item()
        means[part] = losses.mean()
    model.train()
    return means


for step in range(STEPS):
    if step % 50 == 0:
        now = evaluate()
        print(f"step {step}: train {now['train']:.3f}, val {now['val']:.3f}")
        report += [loss.item() for loss in now.values()]
    logits, loss = model(*batch("train"))
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    report.append(loss.item())
start = torch.zeros((1, 1), dtype=torch.long, device=device)
print("".join(alphabet[k] for k in model.generate(start, 40)[0].tolist()))


# %% all heads in one matrix, tied weights, decay for matrices only, a warm start, several batches to a step
@dataclass
class Sizes:
    vocabulary: int
    context: int = T
    width: int = 32
    heads: int = 4
    layers: int = 2


class Attention(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        assert sizes.width % sizes.heads == 0
        self.heads = sizes.heads
        self.qkv = nn.Linear(sizes.width, 3 * sizes.width)
        self.proj = nn.Linear(sizes.width, sizes.width)
        mask = torch.tril(torch.ones(sizes.context, sizes.context))
        self.register_buffer("mask", mask.view(1, 1, sizes.context, sizes.context), persistent=False)

    def forward(self, x, fused=hasattr(F, "scaled_dot_product_attention")):
        b, t, width = x.size()
        q, k, v = (z.view(b, t, self.heads, -1).transpose(1, 2) for z in self.qkv(x).split(width, dim=2))
        if fused:
            p = DROPOUT if self.training else 0
            y = F.scaled_dot_product_attention(q, k, v, attn_mask=None, dropout_p=p, is_causal=True)
        else:
            scores = (q @ k.transpose(-2, -1)) / math.sqrt(k.size(-1))
            y = F.softmax(scores.masked_fill(self.mask[:, :, :t, :t] == 0, float("-inf")), dim=-1) @ v
        return self.proj(y.transpose(1, 2).contiguous().view(b, t, width))


class Tied(nn.Module):
    def __init__(self, sizes):
        super().__init__()
        self.sizes, width = sizes, sizes.width
        self.wte, self.wpe = nn.Embedding(sizes.vocabulary, width), nn.Embedding(sizes.context, width)
        self.blocks = nn.ModuleList(
            nn.ModuleDict({
                "ln1": nn.LayerNorm(width, bias=False), "attention": Attention(sizes), "ln2": nn.LayerNorm(width),
                "mlp": nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"),
                                     nn.Linear(4 * width, width)),
            }) for _ in range(sizes.layers))
        self.norm = nn.LayerNorm(width)
        self.lm_head = nn.Linear(width, sizes.vocabulary, bias=False)
        self.lm_head.weight = self.wte.weight
        for name, p in self.named_parameters():
            if name.startswith("w"):
                torch.nn.init.normal_(p, std=0.02)
            elif name.endswith("proj.weight"):
                torch.nn.init.normal_(p, mean=0.0, std=0.02 / math.sqrt(2 * sizes.layers))

    def forward(self, x, y=None):
        places = torch.arange(0, x.size(1), dtype=torch.long, device=x.device)
        h = self.wte(x) + self.wpe(places)
        for block in self.blocks:
            h = h + block["attention"](block.ln1(h))
            h = h + block.mlp(block.ln2(h))
        h = self.norm(h)
        if y is None:
            return self.lm_head(h[:, [-1], :])
        logits = self.lm_head(h)
        return F.cross_entropy(logits.view(-1, logits.size(-1)), y.view(-1), ignore_index=-1)

    @torch.no_grad()
    def generate(self, x, count, temperature=1.0, top_k=None):
        for _ in range(count):
            logits = self(x if x.size(1) <= T else x[:, -T:])[:, -1, :] / temperature
            if top_k is not None:
                largest, _ = torch.topk(logits, min(top_k, logits.size(-1)))
                logits[logits < largest[:, [-1]]] = -float("inf")
            x = torch.cat((x, torch.multinomial(F.softmax(logits, dim=-1), num_samples=1)), dim=1)
        return x


model = Tied(Sizes(V))
assert model.lm_head.weight is model.wte.weight
assert len(list(model.parameters())) == len(model.state_dict()) - 1

# %%
matrices = [p for p in model.parameters() if p.dim() >= 2]
vectors = [p for p in model.parameters() if p.dim() < 2]
groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
optimizer = torch.optim.AdamW(groups, lr=3e-3, betas=(0.9, 0.95))
for step in range(STEPS):
    for group in optimizer.param_groups:
        group["lr"] = 3e-3 * min(1, (step + 1) / 10) * 0.5 * (1 + math.cos(math.pi * step / STEPS))
    optimizer.zero_grad(set_to_none=True)
    for _ in range(2):
        loss = model(*batch("train"))
        (loss / 2).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    report.append(loss.item())
model.eval()
attention, x = model.blocks[0]["attention"], torch.randn(2, T, 32)
assert torch.allclose(attention(x), attention(x, fused=False), atol=1e-5)
print("".join(alphabet[k] for k in model.generate(start, 40, temperature=0.8, top_k=5)[0].tolist()))
