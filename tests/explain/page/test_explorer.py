"""The explorer in a real browser: what it shows is what the kernels compute."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from minitorch_cnn import Tensor, explain, models, nn, no_grad, ops, train
from minitorch_cnn.explain.page.packing import rounded_bits
from minitorch_cnn.explain.trace.replay import Replay
from tests.data.test_pictures import png
from tests.explain.page.engine import from_kernels

CLASSES = [f"kind {i}" for i in range(10)]


def classifier(name="cifar4", model=None, channels=3, side=32):
    """Return a network with random weights and statistics as a classifier."""
    model = model or models.create(name, in_channels=channels, image_size=side)
    rng = np.random.default_rng(0)
    for path, value in model.state_dict().items():
        if path.endswith("running_var"):
            value[...] = rng.uniform(0.5, 2, value.shape)
        elif path.endswith("running_mean"):
            value[...] = rng.standard_normal(value.shape) / 4
    metadata = {
        "architecture": {"name": name, "image_size": side},
        "classes": CLASSES,
        "mean": [0.4] * channels,
        "std": [0.25] * channels,
    }
    return train.Classifier(model.eval(), metadata)


def pictures(count=3, side=32, channels=3):
    return np.random.default_rng(1).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def opened(browser, folder, made):
    made.save(folder / "explorer.html")
    browser.open(folder / "explorer.html")
    browser.wait("await explorer.ready;")


@pytest.fixture(scope="module")
def cifar4():
    return classifier()


@pytest.fixture
def page(browser, tmp_path, cifar4):
    opened(browser, tmp_path, explain.explore(cifar4, pictures(), labels=[0, 1, 2], title="cifar4"))
    return browser


def tensor(page, kind, variable):
    """Return one Tensor of the page, of its values or gradients."""
    shape, data = page.wait(f"const t = explorer.session.{kind}.get({variable}); return [t.shape, [...t.data]];")
    return np.array(data, np.float32).reshape(shape)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_maps_outputs_and_gradients_are_the_kernels(page, cifar4):
    x = cifar4.normalised(pictures())
    for index in (0, 2):
        page.wait("await explorer.show(given[0]); await explorer.setTarget({what: 'loss', label: 3});", index)
        one = x[index : index + 1]
        with no_grad():
            logits = Tensor(cifar4.model(Tensor(one)).data, requires_grad=True)
        ops.cross_entropy(logits, np.array([3])).backward()
        values, gradients, _ = from_kernels(cifar4.model, one, logits.grad)
        for variable in (0, 3, 8, len(values) - 1):
            close(tensor(page, "values", variable), values[variable])
            close(tensor(page, "gradients", variable), gradients[variable])
        probabilities = ops.softmax(Tensor(values[-1])).data[0]
        np.testing.assert_allclose(page.wait("return explorer.probabilities;"), probabilities, atol=1e-5)
        best = probabilities.argmax()
        assert page.run("document.querySelector('#answer li span').textContent") == CLASSES[best]
    assert page.errors() == []


def test_nothing_is_fetched_and_the_page_says_that_it_is_right(page):
    assert page.run("performance.getEntriesByType('resource').filter((r) => !r.name.startsWith('blob:')).length") == 0
    status = page.run("document.getElementById('status').textContent")
    assert "same as the kernels to" in status and "in the page itself" not in status
    assert float(status.split("kernels to ")[1].split(" ")[0].replace("\u2212", "-")) < 1e-4


def test_arrow_keys_go_through_layers_maps_and_units(page):
    assert page.run("document.getElementById('layer-title').textContent") == "conv 3x3 (conv1)"
    page.run("document.getElementById('scroller').focus()")
    page.press("ArrowRight")
    assert page.run("document.getElementById('layer-title').textContent") == "pool max 2x2 /2"
    page.wait("explorer.chooseUnit({channel: 2, y: 3, x: 4}); document.getElementById('map').focus();")
    page.press("ArrowRight")
    page.press("ArrowDown")
    assert page.run("explorer.unit") == {"channel": 2, "y": 4, "x": 5}
    page.run("document.getElementById('maps').focus()")
    page.press("ArrowRight")
    assert page.run("explorer.unit.channel") == 3
    page.wait("explorer.chooseUnit({channel: 1000, y: -5, x: 1000});")
    assert page.run("explorer.unit") == {"channel": 63, "y": 0, "x": 15}


def test_numbers_have_few_digits(page):
    values = [0, 1240, -123.4, 99.95, 0.0456, -3e-4, 12345, 9999.7]
    found = page.wait("return given[0].map((value) => short(value, 3));", values)
    assert [text.replace("\u2212", "-") for text in found] == [
        *("0", "1240", "-123", "100", "0.0456", "-3.0e-4", "1.2e+4", "10000")
    ]


def test_a_unit_is_the_sum_of_its_products(page, cifar4):
    one = cifar4.normalised(pictures())[:1]
    out = ops.conv2d(Tensor(one), cifar4.model.conv1.weight, cifar4.model.conv1.bias, padding=1).data
    page.wait("explorer.choose(1); explorer.chooseUnit({channel: 5, y: 0, x: 7});")
    chain = page.run("document.querySelector('#unit .chain b').textContent").replace("\u2212", "-")
    assert float(chain) == pytest.approx(out[0, 5, 0, 7], rel=5e-3)
    sums = page.wait("return [...document.querySelectorAll('#unit .window .sum')].map((s) => s.textContent.slice(2));")
    bias = 0 if cifar4.model.conv1.bias is None else cifar4.model.conv1.bias.data[5]
    total = sum(float(text.replace("\u2212", "-")) for text in sums) + bias
    assert total == pytest.approx(out[0, 5, 0, 7], abs=0.02 * float(np.abs(out).max()))
    outside = page.run("document.querySelectorAll('#unit table.input td.outside').length")
    assert outside == 3 * 3  # the first row of each of three windows lies above the image


def test_a_unit_of_a_fully_connected_layer_is_the_sum_of_its_products_and_the_bias(page, cifar4):
    one, model = cifar4.normalised(pictures())[:1], cifar4.model
    expected = model(Tensor(one)).data[0, 4]
    page.wait("explorer.choose(explorer.layers.length - 1); explorer.chooseUnit({channel: 4, y: 0, x: 0});")
    text = page.run("document.querySelector('#unit .chain + p').textContent").replace("\u2212", "-")
    terms, total = text.split(" = ")
    *products, bias = terms.replace(" - ", " + -").split(" + ")
    assert float(total) == pytest.approx(expected, rel=5e-3)
    assert bias.endswith(" of the bias") and float(bias.split()[0]) == pytest.approx(model.fc.bias.data[4], rel=5e-3)
    assert len(products) == 7 and products[-1].endswith("from 506 further inputs")
    factors = [[float(factor.strip("()")) for factor in product.split(" \u00d7 ")] for product in products[:6]]
    found = sum(x * weight for x, weight in factors) + float(products[-1].split()[0]) + float(bias.split()[0])
    assert found == pytest.approx(expected, rel=2e-2)


def test_the_box_on_the_image_is_the_receptive_field(page, cifar4):
    for layer, (y, x) in (("conv2", (5, 9)), ("conv3", (0, 7)), ("conv4", (3, 0))):
        field = explain.receptive_field(cifar4.model, layer, y, x, input_shape=(1, 3, 32, 32), images=0)
        top, left, bottom, right = field.box
        found = page.wait(
            "explorer.choose(explorer.layers.findIndex((l) => l.path === given[0])); "
            "explorer.chooseUnit({channel: 0, y: given[1], x: given[2]}); return explorer.field;",
            layer, y, x,
        )  # fmt: skip
        assert found == [[top, bottom], [left, right]]


def drawn(kind):
    """Return a picture and how it is saved."""
    rng, turned = np.random.default_rng(2), Image.Exif()
    turned[0x0112] = 6  # the camera was held upright
    colours, deep = (rng.integers(0, most, (40, 52, 4), dtype=np.uint16) for most in (256, 65536))
    image = Image.fromarray(np.uint8(colours[:, :, :3]))
    return {
        "layers.png": (Image.fromarray(np.uint8(colours)), {}),
        "turned.jpg": (image, {"exif": turned}),
        "turned.png": (image, {"exif": turned}),
        "deep.png": (Image.fromarray(deep[:, :, 0]), {}),
        "smooth.png": (Image.fromarray(np.sort(deep[:, :, 1], axis=0)), {}),
        "palette.png": (image.quantize(16), {"transparency": 3}),
        "lossy.webp": (image, {}),
        "inks.jpg": (image.convert("CMYK"), {}),
        "few.gif": (image.quantize(16), {}),
        **{f"{h} x {w}.png": (image.resize((w, h)), {}) for h, w in ((48, 40), (32, 32), (20, 31), (100, 32))},
    }[kind]


FORMS = (
    *("layers.png", "turned.jpg", "turned.png", "deep.png", "smooth.png", "palette.png", "lossy.webp", "inks.jpg"),
    *("few.gif", "48 x 40.png", "32 x 32.png", "20 x 31.png", "100 x 32.png"),
)


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMS)
def test_an_own_picture_gets_the_answer_of_predict(page, cifar4, tmp_path, name):
    picture, options = drawn(name)
    picture.save(tmp_path / name, **options)
    expected = [*cifar4.classify([tmp_path / name])[0].probabilities.values()]
    found = page.wait(
        "const bytes = Uint8Array.from(atob(given[0]), (c) => c.charCodeAt(0));"
        "await explorer.read(new File([bytes], given[1])); return explorer.probabilities;",
        base64.b64encode((tmp_path / name).read_bytes()).decode(),
        name,
    )
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)


def test_a_file_that_is_no_picture_leaves_all_as_it_was(page):
    before = page.wait("return explorer.probabilities;")
    hidden = png(16, 0, b"\1\2\3\4", tRNS=b"\1\2")  # `mcnn predict` refuses it, too
    for content, got in ((b"no picture", "The source"), (b"", "an empty file"), (hidden, "a transparent colour of")):
        page.wait("await explorer.read(new File([Uint8Array.from(given[0])], 'a.png'));", list(content))
        told = page.run("document.getElementById('status').textContent")
        assert told.startswith(f"a.png - expected an image that this browser can read, got {got}")
    assert page.wait("return explorer.probabilities;") == before


def output(page):
    return np.array(page.wait("return [...explorer.session.value(explorer.content.graph.output).data];"))


def kernels_output(found, x):
    with no_grad():
        return found.model(Tensor(x)).data[0]


def test_changes_by_hand_act_as_in_the_kernels_and_can_be_taken_back(page, cifar4):
    changed = classifier()
    changed.model.load_state_dict(cifar4.model.state_dict())
    x = changed.normalised(pictures())[:1]
    before = output(page)
    page.wait("explorer.choose(1); explorer.chooseUnit({channel: 4, y: 0, x: 0}); explorer.map = 2;")
    for name, edit in (("flip", lambda k: k[::-1, ::-1].copy()), ("negate", np.negative), ("set to 0", np.zeros_like)):
        page.wait(
            "explorer.paintLayer(); const make = explorer.changes.make; let last;"
            "explorer.changes.make = (...all) => (last = make.apply(explorer.changes, all));"
            "[...document.querySelectorAll('#side button')].find((b) => b.textContent === given[0]).click();"
            "await last;"
            "explorer.changes.make = make;",
            name,
        )
        weight = changed.model.conv1.weight.data
        weight[4, 2] = edit(weight[4, 2])
        close(output(page), kernels_output(changed, x))
    page.wait("for (let i = 0; i < 3; i++) await explorer.changes.undo();")
    np.testing.assert_array_equal(output(page), before)


def test_a_silent_map_and_another_pooling(page, cifar4):
    before = output(page)
    page.wait("await explorer.changes.toggleMap('', 3, 7);")
    one = cifar4.normalised(pictures())[:1]
    replay = Replay(cifar4.model, one.shape)
    maps = replay.run([(replay.x, Tensor(one))], 2).data.copy()
    maps[:, 7] = 0
    expected = replay.run([(replay.records[2].output, Tensor(maps))], len(replay.records) - 1).data[0]
    close(output(page), expected)
    page.wait("await explorer.setTarget({what: 'class', label: 0});")
    assert not tensor(page, "gradients", 2)[0, 7].any()  # no gradient passes through a constant
    page.wait("await explorer.changes.undo(); await explorer.changes.swapPooling('', 3);")
    pooled = ops.avg_pool2d(Tensor(tensor(page, "values", 3)), 2).data
    close(tensor(page, "values", 4), pooled)
    page.wait("await explorer.changes.undo();")
    np.testing.assert_array_equal(output(page), before)


def test_backward_plays_through_the_layers_in_words(page):
    page.wait(
        "const wait = (time) => new Promise((resolve) => setTimeout(resolve, time));"
        "[...document.querySelectorAll('#mode button')].at(-1).click();"
        "while (!document.getElementById('rule').textContent) await wait(20);"
    )
    assert page.run("document.getElementById('rule').textContent").startswith("Linear: x gets grad_out @ weight")
    assert page.run("document.querySelectorAll('.card.playing').length") == 1
    page.wait("explorer.playing = false;")


def test_the_gradient_of_a_weight(page, cifar4):
    page.wait(
        "await explorer.setTarget({what: 'class', label: 2}); explorer.choose(1);"
        "explorer.chooseUnit({channel: 3, y: 4, x: 4}); document.querySelector('#unit table.kernel button').click();"
        "await new Promise((resolve) => setTimeout(resolve, 50));"
    )
    text = page.run("document.getElementById('rule').textContent")
    filter_, map_, row, column = map(int, text.split("(")[1].split(")")[0].split(", "))
    one = cifar4.normalised(pictures())[:1]
    start = np.zeros((1, 10), np.float32)
    start[0, 2] = 1
    *_, named = from_kernels(cifar4.model, one, start)
    found = float(text.split(": ")[1].split(", the sum")[0].replace("\u2212", "-"))
    assert found == pytest.approx(named["conv1.weight"][filter_, map_, row, column], rel=5e-3)


def test_without_a_worker_the_page_computes_by_itself(page):
    difference = page.wait(
        "const s = new Session(explorer.content.graph, constantsOf(explorer.content), 'this is not a script');"
        "const worker = await s.start(); const { shape } = explorer.session.value(0);"
        "await s.forward({ shape, data: explorer.session.value(0).data });"
        "const id = explorer.content.graph.output, own = s.value(id).data, other = explorer.session.value(id).data;"
        "return worker ? null : Math.max(...own.map((v, i) => Math.abs(v - other[i])));"
    )
    assert difference == 0
    page.errors()  # of the script that is not one


def test_rounded_weights_and_grey_images(browser, tmp_path, monkeypatch):
    from minitorch_cnn.explain.page import content

    monkeypatch.setattr(content, "FLOAT32_LIMIT", 1000)
    grey = classifier("lenet5", channels=1)
    grey.model.conv2.weight.data[0] = 0  # a row without a scale
    made = explain.explore(grey, pictures(1, channels=1))
    assert made.rounded and set(made.content["bits"]) == {16, 32}
    opened(browser, tmp_path, made)
    close(output(browser), kernels_output(grey, grey.normalised(pictures(1, channels=1))))
    assert "rounded to 16 bits" in browser.run("document.getElementById('status').textContent")
    for number, entry in enumerate(made.content["graph"]["constants"], 1):
        if made.content["bits"][number - 1] == 16:
            exact = grey.model.state_dict()[entry["name"]]
            found = browser.wait(f"return [...explorer.session.value({-number}).data];")
            step = np.abs(exact.reshape(len(exact), -1)).max(1) / (2**15 - 1)
            off = np.abs(np.reshape(found, exact.shape) - exact).reshape(len(exact), -1).max(1)
            assert (off <= 0.51 * step).all()  # half a step, and how float32 rounds it
    assert browser.errors() == []


def test_weights_that_are_not_finite_are_not_rounded():
    bad = np.ones((20, 20))
    bad[3, 4] = np.inf
    assert [rounded_bits(array, 16) for array in (np.ones((20, 20)), bad, np.ones(400))] == [16, 32, 32]


def test_shortcuts_and_concatenations_are_drawn(browser, tmp_path):
    opened(browser, tmp_path, explain.explore(classifier("resnet20"), pictures(1)))
    links = browser.run("document.querySelectorAll('#links path').length")
    topology = explain.topology(models.create("resnet20"), (1, 3, 32, 32))
    assert links == sum(i != number - 1 for number, node in enumerate(topology.nodes) for i in node.inputs)
    assert browser.run("document.querySelectorAll('.card').length") == len(topology.nodes)
    assert browser.errors() == []


def test_pictures_are_saved_as_they_are_shown(page, tmp_path):
    page.wait("await explorer.setTarget({ what: 'class', label: 1 }); explorer.choose(1);")
    names = page.run("explorer.pictures().map(([name]) => name)")
    assert names == ["maps", "map", "image", "field", "saliency", "Grad-CAM here"]
    file = page.wait("const [, canvas] = explorer.pictures()[2]; return btoa(String.fromCharCode(...pngOf(canvas)));")
    with Image.open(io.BytesIO(base64.b64decode(file))) as saved:
        assert saved.width >= 1000 and saved.width % 32 == 0
        small = np.asarray(saved.convert("RGB"))[16 :: saved.width // 32, 16 :: saved.width // 32]
    np.testing.assert_array_equal(small, pictures()[0])
    svg = page.wait("return svgOf(explorer.pictures()[2][1], 'a < b');")
    assert (
        svg.startswith('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"') and "<title>a  b</title>" in svg
    )
    red, green, blue = pictures()[0][0, 0]
    assert f'<rect x="0" y="0" width="1" height="1" fill="#{red:02x}{green:02x}{blue:02x}"/>' in svg
    page.wait("window.clicked = []; HTMLAnchorElement.prototype.click = function () { clicked.push(this.download); };")
    page.wait("for (const button of document.querySelectorAll('#save button')) button.click();")
    assert page.run("clicked") == ["cifar4-maps.png", "cifar4-maps.svg"]
    assert page.errors() == []


class Squares(nn.Module):
    """A model whose operation the page does not have."""

    def forward(self, x):
        return ops.sum(ops.matmul(x, x), axis=(1, 2, 3))


def test_wrong_arguments_are_named(cifar4, tmp_path):
    with pytest.raises(ValueError, match="explore: images - expected uint8 .N, H, W, 3. with at least one image, got"):
        explain.explore(cifar4, pictures().astype(float))
    for labels in ([1], [0, 1, 10], [0.5, 1, 2]):
        with pytest.raises(ValueError, match="explore: labels - expected 3 integers of 0 to 9, one for each"):
            explain.explore(cifar4, pictures(), labels=labels)
    with pytest.raises(ValueError, match="describe: model - expected a product of two matrices, got MatMul"):
        explain.explore(classifier(model=Squares()), pictures())
    made = explain.explore(cifar4, pictures(1))
    with pytest.raises(ValueError, match="Explorer.save: path - expected a name that ends with .html, got"):
        made.save(tmp_path / "page.txt")
    assert made._repr_html_().startswith("<iframe")


def test_images_of_another_size_are_scaled(cifar4):
    assert '"label":null' in explain.explore(cifar4, pictures(2, side=40)).html
