"""Backpropagation, step by step: stepper.html, a page to open in a browser, which needs no network.

Each step takes the operation whose gradient is complete, and sends gradients on to its arguments. The page shows the
formula, the numbers, the book's equation where there is one, and the line of NumPy that computes it; a slider, the
buttons and the arrow keys step forwards and backwards, in English and in Chinese.

    python examples/stepper.py
"""

import microgradnet as mg
from microgradnet import nn

mg.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 3), nn.Sigmoid(), nn.Linear(3, 2), nn.Sigmoid())
cost = nn.functional.quadratic_loss(model(mg.rand(4, 2)), mg.rand(4, 2))

steps = mg.explain(cost, params=model)
print(steps)  # the same as a table
try:
    print(steps.save("stepper.html"))
except mg.viz.RenderError as error:
    print(f"stepper.html was not written. {error}")
