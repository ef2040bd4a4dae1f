"""compile(): models of lectures and tutorials, and writes in place, train compiled to the bits of eager mode."""

import copy
import pickle

import pytest
from test_compile import data, mlp
from test_compile_guards import same_story

import microgradnet as mg
import microgradnet.nn.functional as F
from microgradnet import nn, optim
from microgradnet.errors import CompileError
from microgradnet.utils.checkpoint import checkpoint


def training(make, loss, batch, optimizer=lambda p: optim.Adam(p, lr=0.01), times=4):
    """A story: a model is trained on batches; told is what comes of it."""
    def tell(compile):
        model = make()
        optimizes, log = optimizer(model.parameters()), []

        def step(*given):
            optimizes.zero_grad()
            cost = loss(model, *given)
            cost.backward()
            optimizes.step()
            return cost.detach()

        run = compile(step)
        for i in range(times):
            log += [run(*batch(i)), [v.detach().clone() for v in model.state_dict().values()]]
        assert compile is not mg.compile or run.programs
        return log

    return tell


class Head(nn.Module):
    def __init__(self, width, size, length):
        super().__init__()
        self.key, self.query, self.value = (nn.Linear(width, size, bias=False) for _ in range(3))
        self.register_buffer("tril", mg.tril(mg.ones(length, length)))
        self.dropout = nn.Dropout(0.2)

    def forward(self, x):
        k, t = self.key(x), x.shape[1]
        weights = self.query(x) @ k.transpose(-2, -1) * k.shape[-1] ** -0.5
        weights = weights.masked_fill(self.tril[:t, :t] == 0, float("-inf"))
        return self.dropout(F.softmax(weights, dim=-1)) @ self.value(x)


class GPT(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens, self.places = nn.Embedding(9, 8), nn.Embedding(6, 8)
        self.heads, self.norm = nn.ModuleList([Head(8, 4, 6) for _ in range(2)]), nn.LayerNorm(8)
        self.more, self.out = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 8), nn.Dropout(0.1)), nn.Linear(8, 9)

    def forward(self, idx, targets=None):
        b, t = idx.shape
        x = self.tokens(idx) + self.places(mg.arange(t))
        x = x + mg.cat([head(self.norm(x)) for head in self.heads], dim=-1)
        logits = self.out(x + self.more(self.norm(x)))
        return logits if targets is None else F.cross_entropy(logits.view(b * t, -1), targets.view(b * t))


class VAE(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder, self.mu, self.log_var = nn.Linear(12, 8), nn.Linear(8, 3), nn.Linear(8, 3)
        self.decoder = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 12), nn.Sigmoid())

    def forward(self, x):
        h = F.relu(self.encoder(x))
        mu, log_var = self.mu(h), self.log_var(h)
        std = mg.exp(0.5 * log_var)
        restored = self.decoder(mu + mg.randn_like(std) * std)
        return F.binary_cross_entropy(restored, x, reduction="sum") - 0.5 * (1 + log_var - mu**2 - log_var.exp()).sum()


class Block(nn.Module):
    def __init__(self, n, m, stride=1):
        super().__init__()
        self.first, self.norm = nn.Conv2d(n, m, 3, stride, 1, bias=False), nn.BatchNorm2d(m)
        self.second, self.norm2 = nn.Conv2d(m, m, 3, 1, 1, bias=False), nn.BatchNorm2d(m, momentum=None)
        self.shortcut = nn.Sequential()
        if n != m:
            self.shortcut = nn.Sequential(nn.Conv2d(n, m, 1, stride, bias=False), nn.BatchNorm2d(m))

    def forward(self, x):
        out = F.relu(self.norm(self.first(x)), inplace=True)
        out = self.norm2(self.second(out))
        out += self.shortcut(x)
        return F.relu(out)


class Seq2Seq(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.encoder, self.decoder, self.out = nn.Embedding(7, 5), nn.GRU(5, 6), nn.GRUCell(5, 6), nn.Linear(6, 7)

    def forward(self, source, target):
        h = self.encoder(self.embedding(source).unsqueeze(1))[1][0]
        loss, x = 0, mg.zeros(1, dtype=mg.int64)
        for t in range(len(target)):
            h = self.decoder(self.embedding(x), h)
            scores = F.log_softmax(self.out(h), 1)
            loss = loss + F.nll_loss(scores, target[t : t + 1])
            x = scores.topk(1)[1].squeeze(1).detach()
        return loss / len(target)


def resnet():
    return nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), Block(4, 4), Block(4, 8, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
                         nn.Linear(8, 5))


def tied():
    embedding, out = nn.Embedding(7, 4), nn.Linear(4, 7, bias=False)
    out.weight = embedding.weight
    return nn.Sequential(embedding, out)


def words(*shape):
    return mg.randint(0, 7, shape)


def cross_entropy(model, x, y):
    return F.cross_entropy(model(x), y)


def orthogonal_norms():
    weight_norm, spectral_norm = nn.utils.parametrizations.weight_norm, nn.utils.parametrizations.spectral_norm
    return nn.Sequential(weight_norm(nn.Linear(6, 5)), nn.Tanh(), spectral_norm(nn.Linear(5, 3)))


MODELS = {
    "GPT": training(GPT, lambda m, x, y: m(x, y), lambda i: (words(3, 6 - i % 2), words(3, 6 - i % 2)), optim.AdamW, 6),
    "VAE": training(VAE, lambda m, x: m(x), lambda i: (mg.rand(4, 12),)),
    "ResNet": training(resnet, cross_entropy, lambda i: (mg.randn(3, 1, 8, 8), words(3) % 5),
                       lambda p: optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)),
    "seq2seq": training(Seq2Seq, lambda m, x, y: m(x, y), lambda i: (words(4), words(5))),
    "tied": training(tied, cross_entropy, lambda i: (words(5), words(5))),
    "transformer": training(lambda: nn.Transformer(8, 2, 1, 1, 16, batch_first=True), lambda m, a, b: m(a, b).pow(2).mean(),
                            lambda i: (mg.randn(2, 4, 8), mg.randn(2, 3, 8))),
    "unbatched attention": training(lambda: nn.TransformerEncoderLayer(4, 2, 8), lambda m, x: m(x).pow(2).sum(),
                                    lambda i: (mg.randn(3, 4),)),
    "norms of weights": training(orthogonal_norms, lambda m, x, y: F.mse_loss(m(x), y), lambda i: data()),
    "checkpoint": training(mlp(nn.ReLU, nn.Dropout(0.5)), lambda m, x, y: F.mse_loss(checkpoint(m, x, use_reentrant=False), y),
                           lambda i: data()),
    "margins": training(mlp(), lambda m, x, y: F.multi_margin_loss(m(x), y.argmax(1)), lambda i: data()),
    "variance": training(mlp(), lambda m, x, y: F.gaussian_nll_loss(m(x), y, m(x).exp()), lambda i: data()),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_models_train_as_in_eager_mode(name):
    same_story(MODELS[name])


def gradient_penalty(compile):
    critic, log = mlp()(), []
    optimizer = optim.Adam(critic.parameters())

    def step(x):
        x = x.clone().requires_grad_()
        optimizer.zero_grad()
        out = critic(x)
        (g,) = mg.autograd.grad(out.sum(), x, create_graph=True)
        loss = out.mean() + 10 * ((g.norm(2, dim=1) - 1) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss.detach()

    run = compile(step)
    for _ in range(4):
        log += [run(mg.randn(4, 6)), [p.detach().clone() for p in critic.parameters()]]
    return log


def two_networks(compile):
    """DQN: a second network follows the first, by an average and by load_state_dict."""
    policy, target, average, log = mlp()(), mlp()(), mlp()(), []
    optimizer = optim.AdamW(policy.parameters(), lr=0.01, amsgrad=True)

    def step(x, chosen, reward):
        q = policy(x).gather(1, chosen)
        with mg.no_grad():
            expected = target(x).max(1).values * 0.9 + reward
        optimizer.zero_grad()
        loss = F.smooth_l1_loss(q, expected.unsqueeze(1))
        loss.backward()
        nn.utils.clip_grad_value_(policy.parameters(), 0.1)
        optimizer.step()
        with mg.no_grad():
            for slow, fast in zip(average.parameters(), policy.parameters()):
                slow.mul_(0.9).add_(fast, alpha=0.1)
        return loss.detach()

    def follow():
        slow, fast = target.state_dict(), policy.state_dict()
        for key in fast:
            slow[key] = fast[key] * 0.1 + slow[key] * 0.9
        target.load_state_dict(slow)

    step, follow = compile(step), compile(follow)
    for _ in range(4):
        log += [step(mg.randn(4, 6), mg.randint(0, 3, (4, 1)), mg.randn(4)), follow()]
        log += [[p.detach().clone() for p in m.parameters()] for m in (policy, target, average)]
    return log


def draws_by_probabilities(compile):
    model, log = mlp(), []
    network = model()
    optimizer, noise = optim.Adam(network.parameters()), mg.zeros(4, 3)

    def step(x, reward):
        optimizer.zero_grad()
        p = F.softmax(network(x), -1)
        action = mg.multinomial(p, 1)
        loss = -(p.gather(-1, action).log().squeeze(1) * reward).mean()
        loss.backward()
        optimizer.step()
        noise.normal_()
        return loss.detach(), action, mg.bernoulli(p.detach()), mg.normal(p.detach(), 0.1), noise * mg.rand_like(noise)

    run = compile(step)
    for _ in range(4):
        log += [*run(mg.randn(4, 6), mg.randn(4))]
    return log


def by_hand(compile):
    weights, log = [mg.randn(6, 5).requires_grad_(), mg.randn(5, 3).requires_grad_()], []

    def step(x, y):
        loss = ((x @ weights[0]).tanh() @ weights[1] - y).pow(2).mean()
        loss.backward()
        with mg.no_grad():
            for w in weights:
                w -= 0.1 * w.grad
                w.grad.zero_()
        return loss.detach()

    run = compile(step)
    for _ in range(4):
        log += [run(*data()), [w.detach().clone() for w in weights], [w.grad.clone() for w in weights]]
    return log


def gradients_of_gradients_are_kept(compile):
    weight, log = mg.randn(3).requires_grad_(), []

    def step(x):
        weight.grad = None
        (weight * x).tanh().sum().backward(create_graph=True)
        (weight.grad**2).sum().backward()
        return weight.grad

    run = compile(step)
    for _ in range(3):
        log += [run(mg.randn(3)).detach().clone(), weight.grad.requires_grad]
    return log


def hooks(compile):
    weight, factor, log = mg.randn(3).requires_grad_(), [2.0], []
    weight.register_hook(lambda g: g * factor[0])

    def step(x):
        weight.grad = None
        h = weight * x
        h.register_hook(lambda g: g.clamp(-0.5, 0.5))
        h.retain_grad()
        h.tanh().sum().backward()
        return h.grad

    run = compile(step)
    for k in range(4):
        factor[0] = 5.0 if k > 1 else 2.0
        log += [run(mg.randn(3)), weight.grad.clone()]
    return log


def transforms(compile):
    matrix = mg.randn(3, 3)
    function = lambda x: (matrix @ x).tanh()  # noqa: E731
    total = lambda x: function(x).sum()  # noqa: E731
    run = compile(lambda x, v: (
        mg.func.jacrev(function)(x), mg.func.grad(total)(x), mg.func.hessian(total)(x), mg.func.jvp(function, (x,), (v,)),
        mg.func.vmap(function)(mg.stack([x, v])), mg.autograd.functional.hvp(total, x, v)))  # fmt: skip
    return [list(run(mg.randn(3), mg.randn(3))) for _ in range(3)]


STORIES = [gradient_penalty, two_networks, draws_by_probabilities, by_hand, gradients_of_gradients_are_kept, hooks, transforms]


@pytest.mark.parametrize("tell", STORIES, ids=lambda tell: tell.__name__)
def test_stories(tell):
    same_story(tell)


IN_PLACE = {
    "relu_": lambda h, v: h.relu_(), "relu_ of a product": lambda h, v: (h * v).relu_() * 2, "add_": lambda h, v: h.add_(v),
    "mul_": lambda h, v: h.mul_(v), "by itself": lambda h, v: h.mul_(h), "pow_": lambda h, v: h.pow_(2),
    "row": lambda h, v: (h[0].mul_(v), h)[1], "of a transpose": lambda h, v: (h.t()[1].mul_(3).add_(v[:2]), h)[1],
    "setitem": lambda h, v: (h.__setitem__((slice(None), 1), v[0]), h)[1], "clamp_": lambda h, v: h.clamp_(-0.1, 0.1),
    "masked_fill_": lambda h, v: h.masked_fill_(h > 0, 2.0), "addcmul_": lambda h, v: h.addcmul_(h, v),
    "twice": lambda h, v: h.mul_(v).mul_(v).add_(h), "new": lambda h, v: mg.zeros(2, 4).add_(h * v),
    "scattered": lambda h, v: mg.zeros(2, 4).index_add_(0, mg.tensor([1, 1]), h * v),
    "dropout": lambda h, v: F.dropout(h, 0.5, inplace=True) * v, "softmax": lambda h, v: (F.softmax(h, 1) * 1).mul_(v),
    "batch_norm": lambda h, v: F.batch_norm(h, None, None, v, v, True).add_(v),
}  # fmt: skip


@pytest.mark.parametrize("name", IN_PLACE)
def test_writes_in_place_that_a_gradient_flows_through(name):
    def tell(compile):
        weights, log = [mg.randn(3, 4).requires_grad_(), mg.randn(4).requires_grad_()], []

        def step(x):
            for w in weights:
                w.grad = None
            loss = IN_PLACE[name]((x @ weights[0]) * 1, weights[1]).sum()
            loss.backward()
            return loss.detach()

        run = compile(step)
        for _ in range(3):
            log += [run(mg.randn(2, 3)), [w.grad for w in weights if w.grad is not None]]
        return log

    same_story(tell)


def test_a_question_that_is_answered_otherwise():
    """A loss that looks at its arguments raises, compiled, what it raises in eager mode."""
    compiled = mg.compile(lambda x, y, var: F.gaussian_nll_loss(x, y, var))
    x, y = data()
    for _ in range(3):
        compiled(x[:, :3], y, mg.ones(4, 3))
    with pytest.raises(ValueError, match="negative entries"):
        compiled(x[:, :3], y, -mg.ones(4, 3))
    assert len(compiled.programs) == 1


def test_lbfgs_and_other_steps_of_ones_own_are_refused():
    model = mlp()()
    optimizer = optim.LBFGS(model.parameters())

    def step(x, y):
        def closure():
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            return loss

        return optimizer.step(closure)

    with pytest.raises(CompileError, match=r"lbfgs\(\) reads the numbers.*fallback='eager'"):
        mg.compile(step)(*data())


def test_compiled_modules_are_copied_and_saved():
    compiled = mg.compile(mlp()())
    x = data()[0]
    with mg.no_grad():
        expected = compiled(x).tolist()
        for other in (copy.deepcopy(compiled), pickle.loads(pickle.dumps(compiled))):
            assert other(x).tolist() == other(x).tolist() == expected and len(other.programs) == 1
            next(iter(other.parameters())).mul_(2)
            assert other(x).tolist() != expected == compiled(x).tolist()


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "NAdam", "ASGD", "Rprop"])
def test_several_steps_of_an_optimizer_in_one_call(name):
    def tell(compile):
        model, log = mlp(nn.ReLU, nn.Dropout(0.5))(), []
        optimizer = getattr(optim, name)(model.parameters(), lr=0.01)

        def steps(x, y):
            for _ in range(3):
                optimizer.zero_grad()
                loss = F.mse_loss(model(x), y)
                loss.backward()
                optimizer.step()
            return loss.detach()

        run = compile(steps)
        for k in range(4):
            optimizer.param_groups[0]["lr"] = 0.01 * (k + 1)
            log += [run(*data()), [p.detach().clone() for p in model.parameters()]]
        assert compile is not mg.compile or len(run.programs) == 1
        return log

    same_story(tell)
