"""Networks with weights from files, and the download of torchvision's file."""

import hashlib

import numpy as np
import pytest
import safetensors.numpy

from minitorch_cnn import models, nn, rng, weights
from minitorch_cnn.io import files
from minitorch_cnn.models import pretrained


@pytest.fixture
def resnet(tmp_path):
    """Return a ResNet-20 of four classes, and the path of its weights in PyTorch's format."""
    rng.manual_seed(3)
    model = models.create("resnet20", num_classes=4)
    weights.save_pth(tmp_path / "r20.pth", model.state_dict())
    return model, tmp_path / "r20.pth"


def equal(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(np.array_equal(a[key], b[key]) for key in a)


def test_the_file_decides_the_number_of_classes(resnet):
    model, path = resnet
    loaded = models.load_pretrained("resnet20", path)
    assert equal(loaded.model, model) and not loaded.model.training
    assert (loaded.image_size, loaded.mean, loaded.std) == (32, models.IMAGENET_MEAN, models.IMAGENET_STD)


def test_a_file_from_before_2018_without_batch_counts(resnet, tmp_path):
    model, _ = resnet
    old = {key: array for key, array in model.state_dict().items() if not key.endswith("num_batches_tracked")}
    weights.save_pth(tmp_path / "old.pth", old)
    assert equal(models.load_pretrained("resnet20", tmp_path / "old.pth").model, model)


def test_two_hundred_classes_are_those_of_tiny_imagenet(tmp_path):
    weights.save_pth(tmp_path / "tin.pth", models.create("resnet18", num_classes=200).state_dict())
    assert models.load_pretrained("resnet18", tmp_path / "tin.pth").image_size == 64
    assert models.native_input("resnet18")[1] == 224


def test_our_own_files_say_more(resnet, tmp_path):
    model, _ = resnet
    facts = {"architecture": {"image_size": 24}, "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}
    weights.save(tmp_path / "own.safetensors", model.state_dict(), facts)
    loaded = models.load_pretrained("resnet20", tmp_path / "own.safetensors")
    assert (loaded.image_size, loaded.mean, loaded.std) == (24, (0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
    assert equal(loaded.model, model)


def test_weights_of_another_network(resnet, tmp_path):
    _, path = resnet
    with pytest.raises(weights.WeightFileError, match=r"r20.pth: expected the weights of resnet32, got (?s:.*)missing"):
        models.load_pretrained("resnet32", path)
    weights.save_pth(tmp_path / "c.pth", models.create("allcnn_c").state_dict())
    with pytest.raises(weights.WeightFileError, match="expected the weights of resnet20, got no fully connected layer"):
        models.load_pretrained("resnet20", tmp_path / "c.pth")


def test_unknown_names(resnet):
    with pytest.raises(ValueError, match="got 'resnet21'; did you mean"):
        models.load_pretrained("resnet21", resnet[1])
    expected = "load_pretrained: name - expected resnet18, or a file of weights, got 'resnet20' alone"
    with pytest.raises(ValueError, match=expected):
        models.load_pretrained("resnet20")


# ------------------------------------------------------------------------- files of other programs


def test_a_safetensors_file_of_another_program(resnet, tmp_path):
    model, _ = resnet
    path = tmp_path / "model.safetensors"
    safetensors.numpy.save_file(model.state_dict(), path, {"format": "pt"})
    loaded = models.load_pretrained("resnet20", path)
    assert equal(loaded.model, model) and loaded.mean == models.IMAGENET_MEAN
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(weights.WeightFileError, match="expected a safetensors file"):
        models.load_pretrained("resnet20", path)


def test_a_safetensors_file_may_be_in_half_the_precision(resnet, tmp_path):
    model, _ = resnet
    half = {name: array.astype(np.float16) for name, array in model.state_dict().items() if array.ndim}
    safetensors.numpy.save_file(half, tmp_path / "half.safetensors")
    loaded = models.load_pretrained("resnet20", tmp_path / "half.safetensors").model.state_dict()
    for name, array in half.items():
        np.testing.assert_array_equal(loaded[name], array.astype(np.float32))


def timm_names(state):
    """Return the state_dict of a VGG as timm has it: its first fully connected layers are convolutions."""
    names = {"classifier.0": "pre_logits.fc1", "classifier.3": "pre_logits.fc2", "classifier.6": "head.fc"}
    shapes = {"classifier.0.weight": (-1, 512, 7, 7), "classifier.3.weight": (-1, 4096, 1, 1)}
    renamed = {}
    for name, array in state.items():
        layer, _, kind = name.rpartition(".")
        renamed[f"{names.get(layer, layer)}.{kind}"] = array.reshape(shapes.get(name, array.shape))
    return renamed


@pytest.mark.parametrize("name", ["vgg11", "vgg11_bn", "vgg16_bn"])
def test_names_of_timm_are_those_of_torchvision(name):
    model = models.create(name, num_classes=5, drawn=False)
    state = {key: parameter.data for key, parameter in model.named_parameters()}  # no copies of half a gigabyte
    theirs = timm_names(state)
    assert "pre_logits.fc1.weight" in theirs and theirs["pre_logits.fc1.weight"].shape == (4096, 512, 7, 7)
    renamed = pretrained._as_torchvision(theirs)
    assert {key: array.shape for key, array in renamed.items()} == {key: array.shape for key, array in state.items()}
    assert all(np.shares_memory(renamed[key], state[key]) for key in state)
    assert pretrained._as_torchvision(state) is state


@pytest.mark.slow
def test_a_vgg_of_timm_computes_the_same(tmp_path):
    model = models.create("vgg11_bn", num_classes=3).eval()
    safetensors.numpy.save_file(timm_names(model.state_dict()), tmp_path / "vgg.safetensors")
    loaded = models.load_pretrained("vgg11_bn", tmp_path / "vgg.safetensors")
    assert loaded.classes == 3 and equal(loaded.model, model)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod."])
def test_prefixes_of_wrappers_are_left_out(resnet, tmp_path, prefix):
    model, _ = resnet
    wrapped = {prefix + name: array for name, array in model.state_dict().items()}
    safetensors.numpy.save_file(wrapped, tmp_path / "wrapped.safetensors")
    with pytest.warns(UserWarning, match=prefix):
        assert equal(models.load_pretrained("resnet20", tmp_path / "wrapped.safetensors").model, model)


def test_the_last_layer_is_that_of_the_network_and_not_of_the_file():
    model = models.create("mlp", num_classes=3, image_size=8)
    state = model.state_dict()
    heads = [place for place, module in model.named_modules() if isinstance(module, nn.Linear)]
    assert pretrained._count_classes("mlp", "m", dict(reversed(state.items()))) == 3 and len(heads) > 1


# ---------------------------------------------------------------------------- torchvision's file


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Let the official address serve a ResNet-18 of three classes from this disk; return (model, path)."""
    monkeypatch.setenv("MCNN_HOME", str(tmp_path / "home"))
    model = models.create("resnet18", num_classes=3)
    path = tmp_path / "resnet18-0.pth"
    weights.save_pth(path, model.state_dict())
    content = path.read_bytes()
    file = pretrained.File(path.as_uri(), len(content), hashlib.sha256(content).hexdigest())
    monkeypatch.setitem(pretrained.FILES, "resnet18", file)
    return model, path


def test_the_official_file_is_known_by_all_its_bytes():
    file = pretrained.FILES["resnet18"]
    assert len(file.sha256) == 64 and file.address.endswith(f"/resnet18-{file.sha256[:8]}.pth")


def test_it_is_fetched_once(served):
    model, path = served
    assert equal(models.resnet18(pretrained=True), model)
    path.unlink()
    assert equal(models.resnet18(pretrained=True), model)


def test_a_copy_that_was_changed_is_fetched_again(served):
    model, _ = served
    copy = pretrained.fetch("resnet18")
    copy.write_bytes(b"something else")
    assert equal(models.load_pretrained("resnet18").model, model)


def test_an_address_that_serves_something_else(served):
    _, path = served
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(files.DownloadError, match="expected sha256"):
        models.resnet18(pretrained=True)
    assert not list((path.parent / "home" / "weights").glob("*.pth"))


def test_resnet18_with_a_file_and_without(served, tmp_path):
    model, path = served
    assert equal(models.resnet18(path=path), model)
    assert models.resnet18(num_classes=7).fc.out_features == 7
    with pytest.raises(TypeError, match="resnet18: num_classes - expected no options together with weights"):
        models.resnet18(pretrained=True, num_classes=10)
