"""A program as a user writes it. `test_user_script.py` checks its types and runs it; nothing else imports it."""

import numpy as np

import minitorch_cnn as mt
from minitorch_cnn import Tensor, nn
from minitorch_cnn.autograd import Function


class Cube(Function):
    """An operation of the user's own."""

    @staticmethod
    def output_shape(x):
        return x

    @staticmethod
    def forward(ctx, x):
        ctx.save(x)
        return x**3

    @staticmethod
    def backward(ctx, grad_out):
        (x,) = ctx.saved
        return 3 * x**2 * grad_out


class Net(nn.Module):
    """A module of the user's own."""

    def __init__(self, channels: int, classes: int):
        self.conv = nn.Conv2d(3, channels, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.pool = nn.MaxPool2d(2)
        self.head = nn.Linear(channels, classes)

    def forward(self, x):
        x = mt.ops.relu(self.norm(self.conv(x)))
        x = self.pool(x).mean(axis=(2, 3))
        return self.head(x)


class Scaled(nn.Module):
    """Annotated, with a keyword argument."""

    def __init__(self, inner: nn.Module):
        self.inner = inner

    def forward(self, x: Tensor, *, scale: float = 1.0) -> Tensor:
        return self.inner(x) * scale


def train(steps: int) -> list[float]:
    mt.manual_seed(0)
    rng = np.random.default_rng(0)
    images = Tensor(rng.standard_normal((8, 3, 8, 8), dtype=np.float32))
    labels = rng.integers(0, 4, 8)
    model = Scaled(nn.Sequential(Net(6, 4), nn.Identity()))
    optimizer = mt.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    schedule = mt.optim.CosineLR(optimizer, total_steps=steps)
    losses = []
    for _ in range(steps):
        loss = mt.ops.cross_entropy(model(images, scale=1.5), labels)
        optimizer.zero_grad()
        loss.backward()
        mt.optim.clip_grad_norm(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    with mt.no_grad():
        scores = model.eval()(images).numpy()
    print(scores.argmax(axis=1), (scores.argmax(axis=1) == labels).mean())
    return losses


if __name__ == "__main__":
    x = Tensor([1.0, 2.0], requires_grad=True)
    y = (Cube.apply(x) + 2 * x - 1).sum()
    y.backward()
    print(y.item(), x.grad, x.shape, x.T if x.ndim == 2 else x.reshape(-1, 1).shape)
    mt.testing.gradcheck(Cube.apply, Tensor(np.array([1.0, 2.0])))
    losses = train(steps=5)
    print(*(f"{loss:.4f}" for loss in losses), sep="\n")
    net = mt.models.create("cifar4")
    print(mt.explain.summary(net, (1, 3, 32, 32)))
    mt.set_num_threads(1)
    with mt.num_threads(1):
        mt.release_memory()
    mt.set_precision("float32")
    with mt.precision(mt.get_precision()):
        print(net(Tensor(np.zeros((1, 3, 32, 32), np.float32))).shape)
