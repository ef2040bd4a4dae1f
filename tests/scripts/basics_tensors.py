"""Tensors and automatic differentiation, as a first tutorial shows them."""

import numpy as np

import microgradnet as torch

torch.manual_seed(7)
torch.set_printoptions(precision=3)
rows = [[1, 2], [3, 4]]
x_data = torch.tensor(rows)
array = np.array(rows)
x_np = torch.from_numpy(array)
x_ones = torch.ones_like(x_data)
x_rand = torch.rand_like(x_data, dtype=torch.float)
print(f"Ones: \n {x_ones} \n")
print(f"Random: \n {x_rand} \n")

shape = (2, 3,)  # fmt: skip
rand_tensor, ones_tensor, zeros_tensor = torch.rand(shape), torch.ones(shape), torch.zeros(shape)
tensor = torch.rand(3, 4)
print(f"Shape: {tensor.shape}\nDtype: {tensor.dtype}\nDevice: {tensor.device}")
if torch.accelerator.is_available():
    tensor = tensor.to(torch.accelerator.current_accelerator())

tensor = torch.ones(4, 4)
print(f"First row: {tensor[0]}, first column: {tensor[:, 0]}, last column: {tensor[..., -1]}")
tensor[:, 1] = 0
t1 = torch.cat([tensor, tensor, tensor], dim=1)
y1 = tensor @ tensor.T
y2 = tensor.matmul(tensor.T)
y3 = torch.rand_like(y1)
torch.matmul(tensor, tensor.T, out=y3)
z1, z2 = tensor * tensor, tensor.mul(tensor)
z3 = torch.rand_like(tensor)
torch.mul(tensor, tensor, out=z3)
agg = tensor.sum()
agg_item = agg.item()
print(agg_item, type(agg_item))
tensor.add_(5)

t = torch.ones(5)
n = t.numpy()
t.add_(1)
shared = n.sum()
n = np.ones(5)
t = torch.from_numpy(n)
np.add(n, 1, out=n)

# %% gradients
x = torch.ones(5)
y = torch.zeros(3)
w = torch.randn(5, 3, requires_grad=True)
b = torch.randn(3, requires_grad=True)
z = torch.matmul(x, w) + b
loss = torch.nn.functional.binary_cross_entropy_with_logits(z, y)
print(f"Gradient function for z = {z.grad_fn}")
loss.backward()
print(w.grad, b.grad)
print(z.requires_grad)
with torch.no_grad():
    z = torch.matmul(x, w) + b
print(z.requires_grad, z.detach().requires_grad)

inp = torch.eye(4, 5, requires_grad=True)
out = (inp + 1).pow(2).t()
out.backward(torch.ones_like(out), retain_graph=True)
first = inp.grad.clone()
out.backward(torch.ones_like(out), retain_graph=True)
second = inp.grad.clone()
inp.grad.zero_()
out.backward(torch.ones_like(out), retain_graph=True)
torch.set_printoptions(profile="default")

report = [x_rand.sum().item(), y1.sum().item(), y2.sum().item(), y3.sum().item(), z1.sum().item(), z2.sum().item(),
          z3.sum().item(), t1.sum().item(), agg_item, tensor.sum().item(), float(shared), t.sum().item(), loss.item(),
          *w.grad.flatten().tolist(), *b.grad.tolist(), *first.flatten().tolist(), *second.flatten().tolist(),
          *inp.grad.flatten().tolist()]
