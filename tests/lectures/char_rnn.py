# ruff: noqa: F821 - test_lectures.py defines NAMES, STEPS, DROPOUT and KIND
"""A text, a letter at a time, by a recurrent network; and a classifier of names, its recurrence written out."""

import math

import microgradnet as torch
import microgradnet.nn as nn
from microgradnet import optim

with open(NAMES) as file:
    names = file.read().splitlines()
text = " ".join(names)
alphabet = sorted(set(text))
number = {letter: k for k, letter in enumerate(alphabet)}
stream = torch.tensor([number[letter] for letter in text], dtype=torch.long)


class Writer(nn.Module):
    def __init__(self, kind, letters, hidden=32, layers=2):
        super().__init__()
        self.embed = nn.Embedding(letters, 16)
        self.rnn = getattr(nn, kind)(16, hidden, layers, batch_first=True)
        self.drop = nn.Dropout(DROPOUT)
        self.out = nn.Linear(hidden, letters)

    def forward(self, x, state=None):
        y, state = self.rnn(self.embed(x), state)
        return self.out(self.drop(y).contiguous().view(-1, self.rnn.hidden_size)), state


model = Writer(KIND, len(alphabet))
print(model)

# %% truncated backpropagation through time: the state goes on, its history ends
rows = stream[: len(stream) // 4 * 4].view(4, -1)
criterion = nn.CrossEntropyLoss()
optimizer = optim.Adam(model.parameters(), lr=0.01)
scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=STEPS // 2, gamma=0.5)
report, state, length = [], None, 12
for step in range(STEPS):
    at = step * length % (rows.size(1) - length - 1)
    if state is not None:
        state = tuple(s.detach() for s in state) if isinstance(state, tuple) else state.detach()
    model.zero_grad()
    scores, state = model(rows[:, at : at + length], state)
    loss = criterion(scores, rows[:, at + 1 : at + length + 1].reshape(-1))
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), max_norm=1.0)
    optimizer.step()
    scheduler.step()
    report.append(loss.item())
print(f"perplexity {math.exp(report[-1]):.2f}, learning rate {scheduler.get_last_lr()}")

# %% writing
model.eval()
with torch.no_grad():
    x, state, written = torch.tensor([[number["a"]]]), None, "a"
    for _ in range(30):
        scores, state = model(x, state)
        likely, which = scores.squeeze().div(0.8).exp().topk(5)
        letter = which[torch.multinomial(likely, 1)[0]]
        written += alphabet[letter.item()]
        x = letter.view(1, 1)
print(written)


# %% one step is two linear maps of the letter and the state side by side
class Classifier(nn.Module):
    def __init__(self, letters, size, classes):
        super().__init__()
        self.size = size
        self.to_state = nn.Linear(letters + size, size)
        self.to_class = nn.Linear(size, classes)
        self.log_softmax = nn.LogSoftmax(dim=1)

    def forward(self, letter, state):
        state = torch.tanh(self.to_state(torch.cat((letter, state), 1)))
        return self.log_softmax(self.to_class(state)), state


def as_rows(name):
    rows = torch.zeros(len(name), 1, len(alphabet))
    for k, letter in enumerate(name):
        rows[k][0][number[letter]] = 1
    return rows


classifier = Classifier(len(alphabet), 24, 2)

# %%
criterion = nn.NLLLoss()
for step in range(STEPS):
    name = names[step % len(names)]
    ends_in_a_vowel = torch.tensor([int(name[-1] in "aeiou")], dtype=torch.long)
    classifier.zero_grad()
    state = torch.zeros(1, classifier.size)
    for letter in as_rows(name):
        answer, state = classifier(letter, state)
    loss = criterion(answer, ends_in_a_vowel)
    loss.backward()
    for p in classifier.parameters():
        p.data.add_(p.grad.data, alpha=-0.05)
    report.append(loss.item())
surest, which = answer.topk(1)
print(name, ["ends in a consonant", "ends in a vowel"][which[0].item()], round(surest.exp().item(), 3))
