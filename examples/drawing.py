"""A computation as a picture: drawing.svg, or drawing.dot where no Graphviz is installed.

    python examples/drawing.py
"""

import microgradnet as mg
from microgradnet import nn
from microgradnet.viz import RenderError

mg.manual_seed(0)
model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 1))
loss = nn.functional.mse_loss(model(mg.tensor([[1.0, 2.0]])), mg.tensor([[1.0]]))
loss.backward(retain_graph=True)  # else the values of the operations are no longer there to be shown

drawing = mg.draw(loss, values=True, grads=True, name="loss")
try:
    print(drawing.save("drawing.svg"))
except RenderError as error:
    print(error)
    print(drawing.save("drawing.dot"))
