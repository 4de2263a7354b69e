# %% [markdown]
# # 9. Backward, step by step
#
# A network is a chain of operations. The backward pass visits it from the loss to the first layer and applies one
# *local rule* to each operation: given the gradient of its output, compute the gradients of its inputs. This chapter
# draws the chain, prints each step, and checks the result against finite differences.

# %%
import argparse
import pathlib

import numpy as np

import minitorch_cnn as mt
from minitorch_cnn import Tensor, data, explain, nn, ops
from minitorch_cnn.display import figures
from minitorch_cnn.models.resnet import BasicBlock
from minitorch_cnn.testing import gradcheck

parser = argparse.ArgumentParser(description="The backward pass, step by step.")
parser.add_argument("--out", default="pictures", metavar="DIR", help="folder of the pictures (default: pictures)")
out = pathlib.Path(parser.parse_known_args()[0].out)  # a notebook has arguments of its own
out.mkdir(parents=True, exist_ok=True)

# %% [markdown]
# ## The graph
#
# The forward pass records a node for each operation. Arrows show the forward direction; backward goes against them.

# %%
mt.manual_seed(0)
shapes = data.Shapes10(train=True, size=8)
x = Tensor(np.ascontiguousarray(shapes.images.transpose(0, 3, 1, 2)).astype(np.float32) / 255)
model = nn.Sequential(nn.Conv2d(3, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(8 * 14 * 14, 10))
loss = ops.cross_entropy(model(x), shapes.labels)
graph = explain.graph(loss, model)
print(graph)
graph.save(out / "09_graph.png")
graph

# %% [markdown]
# ## The steps
#
# Each step shows the incoming gradient, the rule, and the gradient of each input.

# %%
steps = loss.backward(trace=True)
print(explain.BackwardTrace(steps))

# %% [markdown]
# ## How large the gradient is at each step
#
# The norm of the incoming gradient at each step, from the loss on the left to the first layer on the right.

# %%
with figures.style():
    figure = figures.blank("Backward, from the loss to the first layer")
    axes = figure.subplots()
    axes.bar(range(len(steps)), [np.linalg.norm(step.grad_out) for step in steps], color=figures.BLUE)
    axes.set_xticks(range(len(steps)), [step.op for step in steps], rotation=30, ha="right")
    axes.set_ylabel("norm of the incoming gradient")
figures.save(figure, out / "09_norms.png")
figure

# %% [markdown]
# ## A shortcut in the graph
#
# Where a value is read twice, its two gradients are added. The orange path of a residual block skips its operations.

# %%
net = nn.Sequential({"stem": nn.Conv2d(3, 4, 3, padding=1), "block": BasicBlock(4, 4)})
shortcut = explain.graph(ops.sum(net(x)), net)
shortcut.save(out / "09_shortcut.png")
shortcut

# %% [markdown]
# ## Is it right?
#
# The gradient check changes each element by a millionth and compares the change of the output with the gradient.

# %%
small = Tensor(np.random.default_rng(0).standard_normal((1, 2, 5, 5)))
report = gradcheck(nn.Conv2d(2, 2, 3, stride=2, padding=1), small)
print(report.n_checked, "derivatives right")
