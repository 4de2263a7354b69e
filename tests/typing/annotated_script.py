"""A program whose author annotates everything. `test_user_script.py` checks its types; nothing imports it."""

import tempfile

import numpy as np

import minitorch_cnn as mt
from minitorch_cnn import Tensor, data, nn, train
from minitorch_cnn.autograd import Context, Function
from minitorch_cnn.types import Array


class Cube(Function):
    """A user-defined operation."""

    @staticmethod
    def output_shape(x: tuple[int, ...]) -> tuple[int, ...]:
        return x

    @staticmethod
    def forward(ctx: Context, x: Array) -> Array:
        ctx.save(x)
        return x**3

    @staticmethod
    def backward(ctx: Context, grad_out: Array) -> Array:
        (x,) = ctx.saved
        return 3 * x**2 * grad_out


class Net(nn.Module):
    """A user-defined module with layers of most kinds."""

    def __init__(self, num_classes: int, in_channels: int, image_size: int):
        self.stem = nn.Conv2d(in_channels, 6, (3, 3), padding="same", bias=False)
        self.body = nn.Sequential(
            {
                "norm": nn.BatchNorm2d(6),
                "act": nn.LeakyReLU(0.1),
                "pool": nn.MaxPool2d(2, stride=2),
                "res": nn.Residual(nn.Conv2d(6, 6, 3, padding=1, groups=2)),
            }
        )
        self.pools = nn.Concat(nn.GlobalAvgPool(), nn.GlobalMaxPool(), axis=1)
        self.drop = nn.Dropout(0.2)
        self.head = nn.Linear(12, num_classes)
        nn.init.kaiming_normal_(self.head.weight, nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        x = self.body(self.stem(x))
        x = self.drop(mt.ops.relu(self.pools(x)))
        return self.head(x)


def learn(images: data.ArrayDataset, epochs: int) -> list[float]:
    mt.manual_seed(0)
    model = nn.fuse(Net(len(images.classes), 3, 32))
    optimizer = mt.optim.AdamW(model.parameters(), lr=1e-3)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    losses: list[float] = []
    with data.DataLoader(images, batch_size=16, shuffle=True, transforms=[data.Flip(), data.PadCrop(2)]) as loader:
        schedule = mt.optim.OneCycleLR(optimizer, max_lr=1e-3, total_steps=epochs * len(loader))
        for epoch in range(epochs):
            loader.set_epoch(epoch)
            for batch, labels in loader:
                optimizer.zero_grad()
                loss: Tensor = criterion(model(batch), labels)
                loss.backward()
                optimizer.step()
                schedule.step()
                losses.append(loss.item())
    return losses


if __name__ == "__main__":
    x = Tensor([1.0, 2.0], requires_grad=True)
    y: Tensor = Cube.apply(x)
    y.sum().backward()
    dataset = data.Shapes10(train=True, size=64)
    print(x.grad, learn(dataset, epochs=1))
    kept, judged = data.hold_out(dataset, 16)
    first: Array = kept.batch(2)[1]
    print(first.dtype, len(judged), mt.explain.summary(Net(10, 3, 32), (1, 3, 32, 32)))
    recipe = train.recipe("shapes10", epochs=1, batch_size=16)
    with tempfile.TemporaryDirectory() as folder:
        trainer = train.Trainer(recipe, kept, folder + "/run", model=Net, seed=1)
        finished: bool = trainer.fit()
        print(finished, trainer.progress.epoch, type(trainer.optimizer).__name__)
    print(np.isfinite(nn.Conv1d(1, 2, 3).weight.numpy()).all())
