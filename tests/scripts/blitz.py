# ruff: noqa: F821 - test_scripts.py defines STEPS and ROOT
"""Gradients, a network of convolutions, and a classifier of small colour pictures: an hour's tour."""

import microgradnet as torch
import microgradnet.nn as nn
import microgradnet.nn.functional as F
import microgradnet.optim as optim

torch.manual_seed(1)
report = []

# %% autograd
a = torch.tensor([2.0, 3.0], requires_grad=True)
b = torch.tensor([6.0, 4.0], requires_grad=True)
Q = 3 * a ** 3 - b ** 2
external_grad = torch.tensor([1.0, 1.0])
Q.backward(gradient=external_grad)
assert (9 * a ** 2 == a.grad).all() and (-2 * b == b.grad).all()
x = torch.rand(5, 5)
z = torch.rand((5, 5), requires_grad=True)
print(f"Does `a` require gradients?: {(x + x).requires_grad}, {(x + z).requires_grad}")
v = torch.randn(3, requires_grad=True)
u = v * 2
while u.data.norm() < 1000:
    u = u * 2
u.backward(torch.tensor([0.1, 1.0, 0.0001], dtype=torch.float))
report.extend(v.grad.tolist())


# %% a network
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, input):
        c1 = F.relu(self.conv1(input))
        s2 = F.max_pool2d(c1, (2, 2))
        c3 = F.relu(self.conv2(s2))
        s4 = F.max_pool2d(c3, 2)
        s4 = torch.flatten(s4, 1)
        f5 = F.relu(self.fc1(s4))
        f6 = F.relu(self.fc2(f5))
        return self.fc3(f6)


net = Net()
print(net)
params = list(net.parameters())
print(len(params), params[0].size())
input = torch.randn(1, 1, 32, 32)
out = net(input)
print(out)
net.zero_grad()
out.backward(torch.randn(1, 10))
output = net(input)
target = torch.randn(10)
target = target.view(1, -1)
criterion = nn.MSELoss()
loss = criterion(output, target)
print(loss)
print(loss.grad_fn)
print(loss.grad_fn.next_functions[0][0])
last = loss.grad_fn.next_functions[0][0].next_functions[0][0]  # what lies below differs: Addmm has its bias first
assert last.name()
net.zero_grad()
loss.backward()
report.append(loss.item())
report.extend(net.conv1.bias.grad.tolist())
learning_rate = 0.01
for f in net.parameters():
    f.data.sub_(f.grad.data * learning_rate)
optimizer = optim.SGD(net.parameters(), lr=0.01)
for _ in range(STEPS // 2):
    optimizer.zero_grad()
    output = net(input)
    loss = criterion(output, target)
    loss.backward()
    optimizer.step()
    report.append(loss.item())


# %% a classifier
images = torch.rand(80, 3, 32, 32) * 2 - 1
labels = torch.randint(0, 4, (80,))
images += labels.view(-1, 1, 1, 1) * 0.2
trainset = torch.utils.data.TensorDataset(images, labels)
trainloader = torch.utils.data.DataLoader(trainset, batch_size=4, shuffle=True, num_workers=0)
classes = ("plane", "car", "bird", "cat")


class ColourNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 4)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        x = torch.flatten(x, 1)
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


net = ColourNet()
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
print(device)
net.to(device)
criterion = nn.CrossEntropyLoss()
optimizer = optim.SGD(net.parameters(), lr=0.001, momentum=0.9)
steps = 0
while steps < STEPS:
    running_loss = 0.0
    for i, data in enumerate(trainloader, 0):
        inputs, labels = data[0].to(device), data[1].to(device)
        optimizer.zero_grad()
        outputs = net(inputs)
        loss = criterion(outputs, labels)
        loss.backward()
        optimizer.step()
        report.append(loss.item())
        running_loss += loss.item()
        steps += 1
        if i % 20 == 19:
            print(f"[{steps}, {i + 1:5d}] loss: {running_loss / 20:.3f}")
            running_loss = 0.0
PATH = ROOT + "/net.pth"
torch.save(net.state_dict(), PATH)
net = ColourNet()
net.load_state_dict(torch.load(PATH, weights_only=True))
correct = 0
total = 0
with torch.no_grad():
    for data in trainloader:
        images, labels = data
        outputs = net(images)
        _, predicted = torch.max(outputs.data, 1)
        total += labels.size(0)
        correct += (predicted == labels).sum().item()
correct_pred = {classname: 0 for classname in classes}
for label, prediction in zip(labels, predicted):
    if label == prediction:
        correct_pred[classes[label]] += 1
print(f"Accuracy of the network: {100 * correct // total} %", correct_pred)
report.append(correct / total)
