"""Two moons, and the boundary a network draws between them, as a picture: moons.png.

    pip install 'microgradnet[plot]' && python examples/moons.py
"""

import argparse
import sys

import numpy as np

import microgradnet as mg
from microgradnet import nn, optim
from microgradnet.datasets import moons

try:
    import matplotlib
except ImportError:
    sys.exit("moons.py draws with matplotlib, which is not installed: pip install 'microgradnet[plot]'")
matplotlib.use("Agg")  # to a file, with or without a screen
import matplotlib.pyplot as plt  # noqa: E402

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--fast", action="store_true", help="few steps, to see that it runs")
steps = 20 if parser.parse_args().fast else 300

mg.manual_seed(0)
x, labels = moons(300, noise=0.15)
model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 2))
optimizer = optim.Adam(model.parameters(), lr=1e-2)
for _ in range(steps):
    loss = nn.functional.cross_entropy(model(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"cost {loss.item():.4f}")

(left, bottom), (right, top) = x.array.min(axis=0) - 0.5, x.array.max(axis=0) + 0.5
across, up = np.meshgrid(np.linspace(left, right, 300), np.linspace(bottom, top, 300))
plane = mg.tensor(np.stack([across, up], axis=-1), dtype=mg.float32)
with mg.no_grad():
    p = mg.softmax(model(plane), dim=-1)[..., 1]  # a Linear takes any number of leading dimensions

figure, axes = plt.subplots(layout="constrained")
shades = axes.contourf(across, up, p.array, levels=np.linspace(0, 1, 11), cmap="RdBu_r", alpha=0.7)
axes.contour(across, up, p.array, levels=[0.5], colors="black")
axes.scatter(*x.array.T, c=labels.array, cmap="RdBu_r", edgecolors="white")
axes.set(title="Two moons, and the boundary between them", aspect="equal")
figure.colorbar(shades, label="probability of the second moon", shrink=0.7)
figure.savefig("moons.png", dpi=120)
print("moons.png: the boundary")
