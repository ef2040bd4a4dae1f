# ruff: noqa: F821 - test_scripts.py defines ROOT and STEPS
"""Clothes told apart: data, transforms, a model, its training, its weights saved and loaded."""

import microgradnet as torch
from microgradnet import nn
from microgradnet.utils.data import DataLoader
from microgradnet.vision import datasets
from microgradnet.vision.transforms import Lambda, ToTensor

torch.manual_seed(0)
training_data = datasets.FashionMNIST(root=ROOT, train=True, download=True, transform=ToTensor())
test_data = datasets.FashionMNIST(root=ROOT, train=False, download=True, transform=ToTensor())
batch_size = 16
train_dataloader = DataLoader(training_data, batch_size=batch_size, shuffle=True)
test_dataloader = DataLoader(test_data, batch_size=batch_size)
for X, y in test_dataloader:
    print(f"Shape of X [N, C, H, W]: {X.shape}")
    print(f"Shape of y: {y.shape} {y.dtype}")
    break

one_hot = Lambda(lambda y: torch.zeros(10, dtype=torch.float).scatter_(dim=0, index=torch.tensor(y), value=1))
print(one_hot(3))
device = torch.accelerator.current_accelerator().type if torch.accelerator.is_available() else "cpu"
print(f"Using {device} device")


class NeuralNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.flatten = nn.Flatten()
        self.linear_relu_stack = nn.Sequential(
            nn.Linear(28 * 28, 64),
            nn.ReLU(),
            nn.Linear(64, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )

    def forward(self, x):
        x = self.flatten(x)
        logits = self.linear_relu_stack(x)
        return logits


model = NeuralNetwork().to(device)
print(model)
for name, param in model.named_parameters():
    print(f"Layer: {name} | Size: {param.size()} | Values : {param[:2]} \n")
loss_fn = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=1e-2)
report = []


def train(dataloader, model, loss_fn, optimizer):
    size = len(dataloader.dataset)
    model.train()
    for batch, (X, y) in enumerate(dataloader):
        X, y = X.to(device), y.to(device)
        pred = model(X)
        loss = loss_fn(pred, y)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        report.append(loss.item())
        if batch % 10 == 0:
            loss, current = loss.item(), (batch + 1) * len(X)
            print(f"loss: {loss:>7f}  [{current:>5d}/{size:>5d}]")


def test(dataloader, model, loss_fn):
    size = len(dataloader.dataset)
    num_batches = len(dataloader)
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for X, y in dataloader:
            X, y = X.to(device), y.to(device)
            pred = model(X)
            test_loss += loss_fn(pred, y).item()
            correct += (pred.argmax(1) == y).type(torch.float).sum().item()
    test_loss /= num_batches
    correct /= size
    print(f"Test Error: \n Accuracy: {(100*correct):>0.1f}%, Avg loss: {test_loss:>8f} \n")
    return test_loss


epoch = 0
while len(report) < STEPS:
    print(f"Epoch {epoch + 1}\n-------------------------------")
    train(train_dataloader, model, loss_fn, optimizer)
    test(test_dataloader, model, loss_fn)
    epoch += 1

torch.save(model.state_dict(), ROOT + "/model.pth")
before = test(test_dataloader, model, loss_fn)
model = NeuralNetwork().to(device)
model.load_state_dict(torch.load(ROOT + "/model.pth", weights_only=True))
after = test(test_dataloader, model, loss_fn)
assert before == after
model.eval()
x, y = test_data[0][0], test_data[0][1]
with torch.no_grad():
    pred = model(x.to(device))
    predicted, actual = test_data.classes[pred[0].argmax(0)], test_data.classes[y]
    print(f'Predicted: "{predicted}", Actual: "{actual}"')
probabilities = nn.Softmax(dim=1)(pred)
report.append(after)
report.extend(probabilities.flatten().tolist())
