# ruff: noqa: F821 - test_scripts.py defines STEPS
"""Two networks against each other: points on a ring, forged and told apart."""

import math

import microgradnet as torch
import microgradnet.nn as nn
import microgradnet.optim as optim
from microgradnet.autograd import Variable

torch.manual_seed(4)
torch.cuda.manual_seed_all(4)
torch.backends.cudnn.deterministic = True
FloatTensor = torch.cuda.FloatTensor if torch.cuda.is_available() else torch.FloatTensor


def weights_init(m):
    classname = m.__class__.__name__
    if classname.find("Linear") != -1:
        nn.init.normal_(m.weight, 0.0, 0.2)
        nn.init.zeros_(m.bias)
    elif isinstance(m, nn.BatchNorm1d):
        m.weight.data.normal_(1.0, 0.02)
        m.bias.data.fill_(0)


def block(in_feat, out_feat, normalize=True):
    layers = [nn.Linear(in_feat, out_feat)]
    if normalize:
        layers.append(nn.BatchNorm1d(out_feat, 0.8))
    layers.append(nn.LeakyReLU(0.2, inplace=True))
    return layers


netG = nn.Sequential(*block(8, 32, normalize=False), *block(32, 32), nn.Linear(32, 2))
netD = nn.Sequential(*block(2, 32, normalize=False), *block(32, 32, normalize=False), nn.Linear(32, 1), nn.Sigmoid())
netG.apply(weights_init)
netD.apply(weights_init)
print(netG)
criterion = nn.BCELoss()
optimizerD = optim.Adam(netD.parameters(), lr=0.0002, betas=(0.5, 0.999))
optimizerG = optim.Adam(netG.parameters(), lr=0.0002, betas=(0.5, 0.999))
report = []
for i in range(STEPS):
    angle = torch.rand(32) * 2 * math.pi
    real = torch.stack((angle.cos(), angle.sin()), dim=1)
    valid = Variable(FloatTensor(real.size(0), 1).fill_(1.0), requires_grad=False)
    fake = Variable(FloatTensor(real.size(0), 1).fill_(0.0), requires_grad=False)

    netD.zero_grad()
    errD_real = criterion(netD(real), valid)
    errD_real.backward()
    noise = torch.randn(32, 8)
    made = netG(noise)
    errD_fake = criterion(netD(made.detach()), fake)
    errD_fake.backward()
    errD = errD_real + errD_fake
    optimizerD.step()

    netG.zero_grad()
    errG = criterion(netD(made), valid)
    errG.backward()
    optimizerG.step()
    report.extend([errD.item(), errG.item()])
    if i % 50 == 0:
        print(f"[{i:d}/{STEPS:d}] Loss_D: {errD.item():.4f} Loss_G: {errG.item():.4f}")
