"""nn.fuse: the same model and results, with neighbouring layers as one operation."""

import copy

import numpy as np
import pytest

from minitorch_cnn import Tensor, autograd, manual_seed, models, nn, ops
from minitorch_cnn.nn.tracing import traced
from minitorch_cnn.shapes import ShapeError


def make_sequential():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 6, 3),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.BatchNorm2d(6),
        nn.BatchNorm2d(6),
        nn.ReLU(),
    )


def operations(out):
    """Return the names of the operations before a result, the first first."""
    names, node = [], out.node
    while isinstance(node, autograd.Node):
        names.append(node.function.__name__)
        node = node.edges[0]
    return names[::-1]


def results(model, x):
    """Return output, gradients and state after one step forward and back, and the operations that ran."""
    x = Tensor(x, requires_grad=True)
    out = model(x)
    names = operations(out)
    out.backward(np.cos(np.arange(out.data.size)).reshape(out.shape))
    return [out.data, x.grad, *(p.grad for p in model.parameters()), *model.state_dict().values()], names


def make_densenet(bottleneck=True):
    sizes = {"num_classes": 5, "image_size": 16, "stem": "cifar", "bottleneck": bottleneck}
    return models.densenet.DenseNet((2, 3), 4, 6, **sizes)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("bottleneck", [True, False])
def test_a_fused_densenet_gives_the_same(bottleneck, training):
    manual_seed(0)
    plain = make_densenet(bottleneck).double().train(training)
    together = nn.fuse(copy.deepcopy(plain))
    assert list(together.state_dict()) == list(plain.state_dict())
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16))
    (expected, names), (got, fused_names) = results(plain, x), results(together, x)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)
    assert fused_names.count("DenseNetBlock") == 2 and "DenseNetBlock" not in names
    with autograd.no_grad():
        folded = nn.fuse(nn.fold_batch_norm(plain, x.shape))
        want = plain.eval()(Tensor(x)).data
        for model in (together.eval(), folded):
            np.testing.assert_allclose(model(Tensor(x)).data, want, rtol=1e-8, atol=1e-10)


def test_a_frozen_dense_block_counts_no_batches():
    model = nn.fuse(make_densenet()).freeze()
    model(Tensor(np.ones((2, 3, 16, 16), np.float32)))
    assert not any(array.any() for name, array in model.state_dict().items() if name.endswith("num_batches_tracked"))


@pytest.mark.parametrize("replace", [{"algorithm": "reference"}, {"flip_kernel": True}, {"padding_mode": "reflect"}])
def test_a_dense_block_with_a_custom_convolution_is_not_fused(replace):
    model = nn.fuse(make_densenet())
    conv = model.features.denseblock1.denselayer1.conv2
    for name, value in replace.items():
        setattr(conv, name, value)
    _, names = results(model, np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32))
    assert names.count("DenseNetBlock") == 1


@pytest.mark.parametrize("kernel_size", [1, 2])
@pytest.mark.parametrize("window", [nn.AvgPool2d(2), nn.AvgPool2d(2, padding=1), nn.MaxPool2d(2)])
def test_means_and_pixelwise_convolutions_change_places(kernel_size, window):
    conv, bn = nn.Conv2d(3, 2, kernel_size), nn.BatchNorm2d(3)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 9, 8)).astype(np.float32), requires_grad=True)
    expected = window(conv(ops.relu(bn(x)))).data
    for fused in (False, True):
        out = nn.bn_act_conv(x, nn.fuse(bn, fused), conv, pool=window)
        np.testing.assert_allclose(out.data, expected, rtol=1e-5, atol=1e-6)
        changed = fused and kernel_size == 1 and type(window) is nn.AvgPool2d and window.padding == 0
        assert (out.node.function.__name__ == "Conv2d") == changed


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", [make_sequential, lambda: models.create("cifar4")], ids=["sequential", "cifar4"])
def test_a_fused_model_gives_the_same(make, training):
    manual_seed(0)
    plain = make().double().train(training)
    together = nn.fuse(copy.deepcopy(plain))
    assert list(together.state_dict()) == list(plain.state_dict())
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16))
    (expected, names), (got, fused_names) = results(plain, x), results(together, x)
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)
    assert "BatchNormReLU" not in names and "ReLU" not in fused_names
    assert fused_names.count("BatchNormReLU") == names.count("ReLU")


def test_the_following_layers_decide_what_is_fused():
    model = nn.fuse(make_sequential())
    _, names = results(model, np.ones((2, 3, 16, 16), np.float32))
    expected = ["Conv2d", "BatchNormReLU", "Conv2d", "BatchNormReLU", "MaxPool2d", "BatchNorm", "BatchNormReLU"]
    assert names == expected


def test_fuse_returns_the_model_itself_and_can_be_undone():
    model = make_sequential()
    assert nn.fuse(model) is model and all(module.fused for module in model.modules())
    nn.fuse(model, False)
    _, names = results(model, np.ones((2, 3, 16, 16), np.float32))
    assert "BatchNormReLU" not in names


def test_windows_that_cannot_be_fused_are_pooled_separately():
    for window in (nn.MaxPool2d(2, padding=1), nn.MaxPool2d((2, 1)), nn.MaxPool2d(16), nn.AvgPool2d(2)):
        model = nn.fuse(nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(), window))
        _, names = results(model, np.random.default_rng(0).standard_normal((2, 3, 16, 16)).astype(np.float32))
        assert names[0] == "BatchNormReLU" and len(names) == 2


@pytest.mark.parametrize("activation", [ops.relu, nn.ReLU(), ops.gelu, nn.Tanh(), None])
def test_conv_bn_act_is_its_parts(activation):
    conv, bn = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 2, 8, 8)).astype(np.float32))
    part = activation or (lambda x: x)
    expected = ops.max_pool2d(part(bn(conv(x))), 3).data
    for fused in (False, True):
        nn.fuse(bn, fused)
        np.testing.assert_array_equal(nn.conv_bn_act(x, conv, bn, activation, pool=3).data, expected)


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("activation", [ops.relu, ops.tanh])
def test_a_residual_block_is_its_parts(activation, pool):
    conv, bn = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32), requires_grad=True)
    expected = activation(bn(conv(x)) + x)
    expected = expected if pool == 1 else ops.max_pool2d(expected, pool)
    for fused in (False, True):
        out = nn.conv_bn_act(x, conv, nn.fuse(bn, fused), activation, pool=pool, residual=x)
        np.testing.assert_allclose(out.data, expected.data, rtol=1e-6, atol=1e-6)
        assert (out.node.function.__name__ == "BatchNormReLU") == (fused and activation is ops.relu and pool == 1)


@pytest.mark.parametrize("activation", [ops.relu, None])
def test_bn_act_conv_is_its_parts(activation):
    conv, bn = nn.Conv2d(3, 2, 3), nn.BatchNorm2d(3)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 8, 8)).astype(np.float32), requires_grad=True)
    between = bn(x)
    expected = conv(ops.relu(between) if activation else between).data
    for fused in (False, True):
        out = nn.bn_act_conv(x, nn.fuse(bn, fused), conv, activation)
        np.testing.assert_allclose(out.data, expected, rtol=1e-6, atol=1e-6)
        before = out.node.edges[0].function.__name__
        assert before == ("BatchNorm" if activation is None else "BatchNormReLU" if fused else "ReLU")


def test_the_textbook_algorithm_is_never_fused():
    conv, bn = nn.Conv2d(1, 1, 3, algorithm="reference"), nn.fuse(nn.BatchNorm2d(1))
    out = nn.conv_bn_act(Tensor(np.ones((2, 1, 4, 4), np.float32)), conv, bn)
    assert out.node.function.__name__ == "ReLU"


def test_a_convolution_runs_together_with_the_relu_after_it():
    manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 6, 3), nn.Conv2d(6, 4, 1), nn.ReLU()
    plain = nn.Sequential(*layers)
    together = nn.fuse(copy.deepcopy(plain))
    x = np.random.default_rng(0).standard_normal((4, 3, 16, 16)).astype(np.float32)
    (expected, _), (got, names) = results(plain, x), results(together, x)
    for a, b in zip(got, expected, strict=True):
        assert a.tobytes() == b.tobytes()
    assert names == ["Conv2dReLU", "MaxPool2d", "Conv2d", "Conv2dReLU"]
    assert results(nn.fuse(together, False), x)[1] == ["Conv2d", "ReLU", "MaxPool2d", "Conv2d", "Conv2d", "ReLU"]


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize("pool", [1, 2])
def test_where_batch_norm_is_folded_the_convolution_runs_together_with_residual_and_relu(pool, residual):
    manual_seed(0)
    conv, x = nn.Conv2d(3, 3, 3, padding=1), Tensor(np.ones((2, 3, 8, 8), np.float32), requires_grad=True)
    outs = []
    for fused in (False, True):
        nn.fuse(conv, fused)
        for activation in (ops.relu, nn.ReLU()):
            shortcut = x if residual else None
            out = nn.conv_bn_act(x, conv, nn.Identity(), activation, pool=pool, residual=shortcut)
            assert ("Conv2dReLU" in operations(out)) == fused
            outs.append(out.data.tobytes())
    assert len(set(outs)) == 1


@pytest.mark.parametrize("name", ["resnet18_cifar", "vgg_a_bn_cifar", "allcnn_c", "cifar4"])
def test_a_folded_network_gives_the_same_bits_fused_and_not(name):
    manual_seed(0)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 32, 32)).astype(np.float32))
    model = nn.fold_batch_norm(models.create(name), x.shape)
    expected = model(x).data
    assert nn.fuse(model)(x).data.tobytes() == expected.tobytes()
    x.requires_grad = True
    assert "ReLU" not in operations(model(x))


def test_what_is_watched_or_not_a_plain_convolution_is_not_fused():
    class Own(nn.Conv2d):
        pass

    x = Tensor(np.ones((1, 2, 4, 4), np.float32), requires_grad=True)
    for conv in (Own(2, 2, 1), nn.Conv2d(2, 2, 1, algorithm="reference")):
        assert operations(nn.fuse(nn.Sequential(conv, nn.ReLU()))(x)) == ["Conv2d", "ReLU"]
        assert operations(nn.conv_bn_act(x, nn.fuse(conv), nn.Identity())) == ["Conv2d", "ReLU"]
    model = nn.fuse(nn.Sequential(nn.Conv2d(2, 2, 1), nn.Identity(), nn.ReLU()))
    assert operations(model(x)) == ["Conv2dReLU"]
    for layer in model:
        seen = []
        with layer.register_forward_hook(lambda module, inputs, output, seen=seen: seen.append(output.data)):
            assert operations(model(x)) == ["Conv2d", "ReLU"]
            assert operations(nn.conv_bn_act(x, *model)) == ["Conv2d", "ReLU"]
        assert len(seen) == 2


def test_a_trace_shows_convolution_and_relu_separately():
    model = nn.fuse(nn.Sequential(nn.Conv2d(2, 2, 1), nn.Identity(), nn.ReLU()))
    _, records, _ = traced(model, (1, 2, 4, 4))
    assert [record.op.__name__ for record in records] == ["Conv2d", "ReLU"]


def test_an_activation_that_cannot_be_called():
    x = Tensor(np.ones((2, 1, 4, 4), np.float32))
    with pytest.raises(TypeError, match="conv_bn_act: act - expected a function, a Module or None, got 'relu'"):
        nn.conv_bn_act(x, nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1), "relu")
    with pytest.raises(TypeError, match="bn_act_conv: act - expected a function, a Module or None, got 3"):
        nn.bn_act_conv(x, nn.BatchNorm2d(1), nn.Conv2d(1, 1, 1), 3)


def test_a_residual_of_another_shape():
    conv, bn, x = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), Tensor(np.ones((2, 1, 4, 4), np.float32))
    with pytest.raises(ShapeError, match=r"conv_bn_act: residual - expected shape \(2, 2, 4, 4\), got \(2, 1, 4, 4\)"):
        nn.conv_bn_act(x, conv, bn, residual=x)
    with pytest.raises(ShapeError, match=r"residual - expected the output's shape \(2, 2, 4, 4\), got \(2, 1, 4, 4\)"):
        nn.conv_bn_act(x, nn.fuse(conv), nn.Identity(), residual=x)


def test_a_residual_or_a_pooling_without_relu_is_not_passed_over():
    """It would silently be left out."""
    x = Tensor(np.ones((2, 1, 4, 4), np.float32))
    with pytest.raises(ValueError, match="Conv2d: relu - expected True together with a residual, got False"):
        nn.Conv2d(1, 1, 1)(x, residual=x)
    for options in ({"pool": 2}, {"residual": x}):
        with pytest.raises(ValueError, match="BatchNorm2d: relu - expected True together with a pool or a residual"):
            nn.BatchNorm2d(1)(x, **options)


@pytest.mark.parametrize("options", [{"ceil_mode": True}, {"dilation": 2}], ids=str)
def test_a_pooling_with_options_is_not_fused(options):
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2, **options)).eval()
    x = Tensor(np.random.default_rng(0).standard_normal((2, 2, 9, 9)).astype(np.float32))
    expected = net(x).data
    np.testing.assert_allclose(nn.fuse(net)(x).data, expected, rtol=1e-5, atol=1e-6)
