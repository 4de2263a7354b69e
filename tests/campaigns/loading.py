"""Loaders in random use: what they serve, against a model that is a few slow lines.

A run makes one loader of random settings (samples, sizes, batches, shares, workers, transforms) and uses it at random:
iterators that overlap, begin in the middle of an epoch, are left, closed or emptied by several threads; epochs chosen
while others run; copies; other loaders that continue where this one stopped. Every batch has to have the labels and the
exact numbers of the model, which knows of no batches, workers or kernels: it augments one sample by one from the
definition of its random numbers.
"""

import copy
import functools
import gc
import pathlib
import pickle
import tempfile
import threading

import harness
import numpy as np
from PIL import Image

from minitorch_cnn import data

OWN = '''
import numpy as np


class Dim:
    """Scales all pixels of an image by a random share, which each sample draws for itself."""

    def __call__(self, images, draws):
        return (images * draws.uniform()[:, None, None, None]).astype(np.uint8)
'''


# ------------------------------------------------------------------------------------ the model


def uniform(seed, epoch, sample, draw):
    """Return the random number of a sample: Philox4x32-10 in plain integers."""
    c, k = [sample % 2**32, sample >> 32, epoch, draw], [seed % 2**32, seed >> 32]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b % 2**32, (a >> 32) ^ c[3] ^ k[1], a % 2**32]
        k = [(k[0] + 0x9E3779B9) % 2**32, (k[1] + 0xBB67AE85) % 2**32]
    return ((c[0] << 21) ^ (c[1] >> 11)) / 2**53


def augmented(image, steps, seed, epoch, sample):
    """Return one image, uint8 (H, W, C), after the steps, each a name and its setting."""
    draws = (uniform(seed, epoch, sample, draw) for draw in range(99))
    for name, setting in steps:
        height, width = image.shape[:2]
        if name in ("crop", "mirrored crop"):
            down, right = (int(next(draws) * (2 * setting + 1)) for _ in range(2))
            sides = ((setting, setting), (setting, setting), (0, 0))
            padded = np.pad(image, sides, mode="constant" if name == "crop" else "reflect")
            image = padded[down : down + height, right : right + width]
        elif name == "flip":
            image = image[:, ::-1] if next(draws) < setting else image
        elif name == "cutout":
            top, left = (int(next(draws) * length) - setting // 2 for length in (height, width))
            image = image.copy()
            image[max(top, 0) : max(top + setting, 0), max(left, 0) : max(left + setting, 0)] = 0
        elif name == "resize":
            layers = [Image.fromarray(image[:, :, c].copy()) for c in range(image.shape[2])]
            scaled = [np.asarray(x.resize(setting[::-1], Image.Resampling.BILINEAR)) for x in layers]
            image = np.stack(scaled, axis=2)
        else:
            image = (image * next(draws)).astype(np.uint8)
    return image


class Model:
    """What a loader of these settings should serve."""

    def __init__(self, dataset, steps, batch_size, shuffle, drop_last, seed, share):
        self.dataset, self.steps, self.seed, self.shuffle = dataset, steps, seed, shuffle
        self.batch_size, self.drop_last, self.share = batch_size, drop_last, share
        self.epoch, self.begun = 0, False
        self.sample = functools.cache(self._sample)

    def order(self, epoch):
        count = len(self.dataset)
        if not self.shuffle:
            return list(range(count))
        return np.random.Generator(np.random.PCG64([self.seed, epoch, 1])).permutation(count).tolist()

    def _sample(self, epoch, i):
        image = augmented(self.dataset.images[i], self.steps, self.seed, epoch, i)
        normal = (image / 255 - np.array(self.dataset.mean)) / np.array(self.dataset.std)
        return normal.astype(np.float32).transpose(2, 0, 1)

    def batches(self, epoch, start=0):
        """Return the sample numbers of each batch."""
        order, size, (part, parts) = self.order(epoch), self.batch_size, self.share
        chunks = [order[i : i + size] for i in range(0, len(order), size)]
        chunks = [chunk for chunk in chunks if len(chunk) == size or not self.drop_last]
        return [chunk[part * len(chunk) // parts : (part + 1) * len(chunk) // parts] for chunk in chunks][start:]

    def begin(self):
        """Return the epoch of a new loop."""
        self.epoch, self.begun = (self.epoch + self.begun) % 2**32, True
        return self.epoch

    def check(self, batch, epoch, samples):
        """Raise AssertionError unless a batch holds these samples."""
        images, labels = batch
        assert labels.tolist() == [int(self.dataset.labels[i]) for i in samples], "labels"
        expected = np.stack([self.sample(epoch, i) for i in samples])
        assert images.shape == expected.shape, f"shape {images.shape} instead of {expected.shape}"
        assert (images.data == expected).all(), "images"


# -------------------------------------------------------------------------------------- the use


def random_steps(rng, size, own):
    """Return (steps of the model, transforms of the loader)."""
    kinds = {
        "crop": (int(rng.integers(0, 6)), lambda n: data.PadCrop(n)),
        "mirrored crop": (int(rng.integers(0, 6)), lambda n: data.Translate(n, "reflect")),
        "flip": (float(rng.choice([0, 0.3, 0.5, 1])), lambda p: data.Flip(p)),
        "cutout": (int(rng.integers(1, 6)), lambda n: data.Cutout(n)),
        "resize": (tuple(int(n) for n in rng.integers(1, 8, 2)), lambda n: data.Resize(n)),
        "dim": (None, lambda _: own()),
    }
    names = [str(name) for name in rng.choice(list(kinds), rng.integers(0, 4))]
    return [(name, kinds[name][0]) for name in names], [kinds[name][1](kinds[name][0]) for name in names]


def random_dataset(rng):
    count = int(rng.choice([0, 1, 2, rng.integers(3, 40)], p=[0.05, 0.1, 0.1, 0.75]))
    height, width, channels = (int(rng.integers(1, top)) for top in (9, 9, 5))
    images = rng.integers(0, 256, (count, height, width, channels)).astype(np.uint8)
    classes = [f"class {i}" for i in range(max(count, 1))]
    labels = rng.permutation(count)  # all different: a wrong one cannot hide
    return data.ArrayDataset(images, labels, classes, rng.uniform(0, 1, channels), rng.uniform(0.1, 1, channels))


class Use:
    """One run: a loader, its model, and the iterators that are open."""

    def __init__(self, rng, own):
        self.rng, self.served, self.open = rng, 0, []  # open: [iterator, epoch, batches still to come]
        self.trail = []
        self.dataset = random_dataset(rng)
        steps, transforms = random_steps(rng, self.dataset.images.shape[1:3], own)
        batch_size, parts = int(rng.integers(1, 12)), int(rng.choice([1, 1, 1, 2, 3]))
        parts = min(parts, batch_size)
        common = {
            "batch_size": batch_size,
            "shuffle": bool(rng.random() < 0.7),
            "drop_last": bool(parts > 1 or rng.random() < 0.4),
            "seed": [0, 1, int(rng.integers(2**63)), 2**64 - 1][rng.integers(4)],
            "share": (int(rng.integers(parts)), parts),
        }
        self.workers = int(rng.choice([0, 1, 2, 3, 4], p=[0.86, 0.05, 0.05, 0.02, 0.02]))
        options = {"num_workers": self.workers, "prefetch": int(rng.integers(1, 4)), "transforms": transforms}
        self.make = lambda **other: data.DataLoader(self.dataset, **(common | options | other))
        self.loader, self.model = self.make(), Model(self.dataset, steps, **common)
        self.said = f"{len(self.dataset)} images {self.dataset.images.shape[1:]}, {common | options}"

    def run(self, actions):
        with self.loader:
            for _ in range(actions):
                action = self.rng.choice(
                    [self.begin, self.enter, self.take, self.take, self.take, self.drain, self.leave]
                    + [self.choose, self.ask_order, self.crowd, self.resume, self.copied, self.close]
                )
                self.trail.append(action.__name__)
                action()
            while self.open:
                self.drain()

    def begin(self):
        if len(self.open) < 3:
            epoch = self.model.begin()
            self.open.append([iter(self.loader), epoch, self.model.batches(epoch)])

    def enter(self):
        if len(self.open) < 3:
            start = int(self.rng.integers(0, len(self.loader) + 1))
            self.model.begun, epoch = True, self.model.epoch
            self.open.append([self.loader.iterate(start), epoch, self.model.batches(epoch, start)])

    def _any(self):
        return self.open[self.rng.integers(len(self.open))] if self.open else None

    def take(self):
        if not (entry := self._any()):
            return
        iterator, epoch, rest = entry
        batch = next(iterator, None)
        if rest:
            self.model.check(batch, epoch, rest.pop(0))
            self.served += 1
        else:
            assert batch is None, "a batch after the last"
            self.open.remove(entry)

    def drain(self):
        if entry := self._any():
            while entry in self.open:
                batch = next(entry[0], None)
                assert (batch is None) == (not entry[2]), f"{len(entry[2])} batches too few or one too many"
                if batch is None:
                    self.open.remove(entry)
                else:
                    self.model.check(batch, entry[1], entry[2].pop(0))
                    self.served += 1

    def leave(self):
        if entry := self._any():
            self.open.remove(entry)
            if self.rng.random() < 0.5:
                entry[0].close()
                assert next(entry[0], None) is None, "a batch after close()"

    def choose(self):
        epoch = int(self.rng.choice([0, 1, self.rng.integers(5), 2**32 - 2]))
        self.loader.set_epoch(epoch)
        self.model.epoch, self.model.begun = epoch, False

    def ask_order(self):
        assert self.loader.order().tolist() == self.model.order(self.model.epoch), "order"
        assert len(self.loader) == len(self.model.batches(0)), "length"

    def crowd(self):
        """Let threads empty an iterator: each batch comes once, in any order."""
        if not (entry := self._any()):
            return
        iterator, epoch, rest = entry
        got, errors = [], []

        def serve():
            try:
                got.extend(iterator)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=serve) for _ in range(3)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        assert not errors, errors
        wanted = {tuple(int(self.dataset.labels[i]) for i in samples): samples for samples in rest}
        assert sorted(tuple(labels.tolist()) for _, labels in got) == sorted(wanted), "batches of threads"
        for batch in got:
            self.model.check(batch, epoch, wanted[tuple(batch[1].tolist())])
        self.served += len(got)
        self.open.remove(entry)

    def resume(self):
        """Continue in another loader, with another number of workers, where an iterator of this one stopped."""
        epoch = int(self.rng.integers(4))
        batches = self.model.batches(epoch)
        start = int(self.rng.integers(len(batches) + 1))
        with self.make(num_workers=int(self.rng.random() < 0.04)) as other:
            other.set_epoch(epoch)
            got = list(other.iterate(start))
        assert len(got) == len(batches) - start, "batches of a resume"
        for batch, samples in zip(got, batches[start:], strict=True):
            self.model.check(batch, epoch, samples)
        self.served += len(got)

    def copied(self):
        """Continue with a copy; the iterators of the original stay open."""
        original = self.loader
        self.loader = pickle.loads(pickle.dumps(original)) if self.rng.random() < 0.5 else copy.copy(original)
        self.open = [entry for entry in self.open if self.rng.random() < 0.5 or not self.workers]
        if self.workers:
            original.close()
            self._are_closed()

    def close(self):
        self.loader.close()
        if self.workers:
            self._are_closed()

    def _are_closed(self):
        for iterator, _, rest in self.open:
            try:
                batch = next(iterator, None)
                assert batch is None and not rest, "a batch after its loader was closed"
            except RuntimeError as error:
                assert rest and "its loader open until the last batch" in str(error), error
        self.open = []


def programs(length):
    """Bar 29: random uses of random loaders."""
    count, wrong, served, with_workers = length(60, 10_000), [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "own_step_of_a_campaign.py").write_text(OWN)
        harness.sys.path.append(folder)
        from own_step_of_a_campaign import Dim

        for run in range(count):
            rng = np.random.default_rng([length.seed, run])
            use = Use(rng, Dim)
            try:
                use.run(int(rng.integers(4, 24)))
            except Exception as error:
                wrong.append(f"run {run}: {type(error).__name__}: {error}; {use.said}; {use.trail}")
                print("  ", wrong[-1][:1500], flush=True)
            served += use.served
            with_workers += use.workers > 0
            if run % 100 == 99:
                gc.collect()  # loaders in circles of references, which hold files
            if run % 500 == 499:
                print(f"   {run + 1} runs, {served} batches, {len(wrong)} wrong", flush=True)
    figure = (
        f"{count} runs, {with_workers} of them with 1 to 4 workers, {served} batches, {len(wrong)} runs with a fault"
    )
    return figure, not wrong


if __name__ == "__main__":
    harness.main(__doc__, {"29 loaders in random use": programs})
