"""The same networks in PyTorch, and its modes."""

TORCH_MODES = ("torch nchw", "torch channels_last", "torch compile")


def torch_with(threads):
    """Return torch, set to a number of threads; 0 leaves it its own."""
    import torch

    if threads:
        torch.set_num_threads(threads)
    return torch


def torch_cifar4(torch):
    """Return the layers of `minitorch_cnn.models.cifar4`."""
    nn, layers, channels = torch.nn, [], 3
    for filters in (64, 128, 256, 512):
        layers += [nn.Conv2d(channels, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
        layers.append(nn.MaxPool2d(2))
        channels = filters
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def in_mode(torch, mode, model, images):
    """Return (model, images) as the mode has them: memory order, compiled or not."""
    if mode != "torch nchw":
        model, images = (thing.to(memory_format=torch.channels_last) for thing in (model, images))
    return (torch.compile(model) if mode == "torch compile" else model), images
