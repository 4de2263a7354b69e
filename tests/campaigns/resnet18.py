"""ResNet-18 with PyTorch's own file of weights: read without PyTorch, run without PyTorch, against PyTorch.

    RESNET18_WEIGHTS=resnet18.pth python tests/campaigns/resnet18.py --full

The other side is built from PyTorch's layers alone and filled by `torch.load`. The short form fills both with the
same random numbers. The images are drawn ones (`shapes10`), scaled to the file's size.
"""

import os
import pathlib
import tempfile

import harness
import numpy as np

from minitorch_cnn import Tensor, data, manual_seed, models, no_grad, weights

COUNT = 10


def torch_resnet18(torch, classes):
    """Return the network of He et al. 2015, with the names that PyTorch's files have."""
    nn = torch.nn

    def conv_norm(inputs, outputs, size, stride):
        return nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False), nn.BatchNorm2d(outputs)

    class Block(nn.Module):
        def __init__(self, inputs, outputs, stride):
            super().__init__()
            self.conv1, self.bn1 = conv_norm(inputs, outputs, 3, stride)
            self.conv2, self.bn2 = conv_norm(outputs, outputs, 3, 1)
            self.downsample = nn.Sequential(*conv_norm(inputs, outputs, 1, stride)) if stride > 1 else nn.Identity()

        def forward(self, x):
            y = torch.relu(self.bn1(self.conv1(x)))
            return torch.relu(self.bn2(self.conv2(y)) + self.downsample(x))

    class ResNet(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = conv_norm(3, 64, 7, 2)
            self.maxpool, inputs = nn.MaxPool2d(3, 2, 1), 64
            for number, outputs in enumerate((64, 128, 256, 512), 1):
                stage = nn.Sequential(Block(inputs, outputs, 1 + (number > 1)), Block(outputs, outputs, 1))
                setattr(self, f"layer{number}", stage)
                inputs = outputs
            self.fc = nn.Linear(512, classes)

        def forward(self, x):
            x = self.maxpool(torch.relu(self.bn1(self.conv1(x))))
            x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
            return self.fc(x.mean((2, 3)))

    return ResNet()


def logits(length):
    """Bar 18: ten images."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        path = os.environ.get("RESNET18_WEIGHTS") if length.full else pathlib.Path(folder) / "random.pth"
        if path is None:
            return "expected the file of weights in RESNET18_WEIGHTS", False
        if not length.full:
            manual_seed(length.seed)
            weights.save_pth(path, models.create("resnet18", num_classes=200).state_dict())
        loaded, state = models.load_pretrained("resnet18", path), torch.load(path, weights_only=True)
    theirs = torch_resnet18(torch, len(state["fc.bias"]))
    theirs.load_state_dict(state)
    drawn = data.Resize((loaded.image_size,) * 2)(data.Shapes10(train=False).images[:COUNT], None) / 255
    images = ((drawn - loaded.mean) / loaded.std).transpose(0, 3, 1, 2).astype(np.float32)
    with no_grad(), torch.no_grad():
        ours, theirs = loaded.model(Tensor(images)).data, theirs.eval()(torch.from_numpy(images)).numpy()
    difference = abs(ours - theirs).max() / abs(theirs).max()
    ranks = [np.argsort(-numbers, axis=1, kind="stable")[:, :5] for numbers in (ours, theirs)]
    alike = (ranks[0] == ranks[1]).all(1).sum()
    figure = f"{COUNT} images of {loaded.image_size} pixels, logits differ by {difference:.1e} of the largest, the "
    return f"{figure}first five the same for {alike}", difference <= 1e-4 and alike == COUNT


if __name__ == "__main__":
    harness.main(__doc__, {"18 ResNet-18": logits})
