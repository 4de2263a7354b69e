"""Several iterations of one loader: each owns its epoch, order and workers; what cannot continue is refused by name."""

import copy
import os
import pickle
import threading

import numpy as np
import pytest

from minitorch_cnn import data
from minitorch_cnn.data import pool

COUNT, BATCH, SEED = 30, 4, 5
STEPS = (data.PadCrop(2), data.Flip())


def make(**options):
    pixels = np.arange(COUNT, dtype=np.uint8).repeat(6 * 6 * 3).reshape(COUNT, 6, 6, 3)
    dataset = data.ArrayDataset(pixels, np.arange(COUNT), [f"class {i}" for i in range(COUNT)], (0,) * 3, (1,) * 3)
    settings = {"batch_size": BATCH, "shuffle": True, "transforms": STEPS, "seed": SEED}
    return data.DataLoader(dataset, **(settings | options))


def content(batches):
    """Return (bytes of the images, labels) of batches, having required that each image has its own label."""
    seen = []
    for images, labels in batches:
        shown = np.rint(images.data.max(axis=(1, 2, 3)) * 255).astype(int)  # a crop of image 0 is black, too
        assert (shown == labels).all()
        seen.append((images.data.tobytes(), labels.tolist()))
    return seen


@pytest.fixture(scope="module")
def epochs():
    """Return what each of the first epochs holds."""
    return [content(make().iterate()) if not epoch else content(chosen(epoch).iterate()) for epoch in range(8)]


def chosen(epoch, **options):
    loader = make(**options)
    loader.set_epoch(epoch)
    return loader


@pytest.fixture(params=[0, 1, 2])
def loader(request):
    with make(num_workers=request.param) as loader:
        yield loader


def test_each_loop_serves_the_next_epoch_and_iterate_the_same_again(loader, epochs):
    assert epochs[0] != epochs[1] != epochs[2] != epochs[0]
    assert [content(loader) for _ in range(3)] == epochs[:3]
    assert content(loader.iterate(2)) == epochs[2][2:] and loader.epoch == 2
    assert content(loader) == epochs[3]
    loader.set_epoch(1)
    assert [content(loader) for _ in range(2)] == epochs[1:3]
    assert content([(_, labels) for _, labels in loader.iterate()]) == epochs[2]
    assert sum((labels for _, labels in epochs[2]), []) == loader.order().tolist()  # of the loop that ran last


@pytest.mark.parametrize("count", [2, 3])
def test_iterators_side_by_side(loader, epochs, count):
    together = list(zip(*[iter(loader) for _ in range(count)], strict=True))
    for epoch in range(count):
        assert content(step[epoch] for step in together) == epochs[epoch]


def test_iterators_that_begin_and_end_at_different_times(loader, epochs):
    first = iter(loader)
    head = content(next(first) for _ in range(3))
    second = iter(loader)
    middle = content(next(second) for _ in range(5))
    assert head + content(first) == epochs[0] and middle + content(second) == epochs[1]


def test_a_loop_inside_a_loop(loader, epochs):
    outer = []
    for images, labels in loader:
        outer.append((images, labels))
        assert content(loader) == epochs[len(outer)]
        if len(outer) == 4:
            break
    assert content(outer) == epochs[0][:4]


def test_iterators_that_are_left(loader, epochs):
    kept = [iter(loader) for _ in range(3)]
    for batches in kept:
        next(batches)
    next(iter(loader))  # nobody holds this one
    kept[1].close()
    assert list(kept[1]) == []
    assert content(loader) == epochs[4]
    assert content(kept[0]) == epochs[0][1:] and content(kept[2]) == epochs[2][1:]


def test_choosing_an_epoch_leaves_iterations_that_run_alone(loader, epochs):
    batches = iter(loader)
    seen = content([next(batches)])
    loader.set_epoch(5)
    assert seen + content(batches) == epochs[0]
    waiting = loader.iterate()  # has an epoch from here on, and not from its first batch on
    loader.epoch = 6
    assert content(waiting) == epochs[5] and content(loader) == epochs[6]


def test_iterators_in_threads(loader, epochs):
    served, start = [], threading.Barrier(4)

    def serve():
        start.wait()
        served.append(content(loader))

    threads = [threading.Thread(target=serve) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(served) == sorted(epochs[:4])


def test_threads_that_share_an_iterator_get_each_batch_once(loader, epochs):
    batches, served, start = iter(loader), [], threading.Barrier(4)

    def serve():
        start.wait()
        served.extend(content(batches))

    threads = [threading.Thread(target=serve) for _ in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert sorted(served) == sorted(epochs[0])


# ------------------------------------------------------------------------ processes and their end


@pytest.fixture
def started(monkeypatch):
    """Return the list of worker processes that were started; at the end all have stopped."""
    processes, popen = [], pool.subprocess.Popen

    def start(*arguments, **options):
        processes.append(popen(*arguments, **options))
        return processes[-1]

    monkeypatch.setattr(pool.subprocess, "Popen", start)
    yield processes
    assert all(process.poll() is not None for process in processes)


def test_iterations_in_a_row_share_their_workers(started, epochs):
    with make(num_workers=2) as loader:
        assert [content(loader) for _ in range(3)] == epochs[:3]
        assert len(started) == 2
        list(zip(loader, loader, strict=True))
        assert len(started) == 4 and sum(process.poll() is None for process in started) == 2  # one pair is kept


def test_closing_ends_iterations_with_workers_by_name(started, epochs):
    loader = make(num_workers=1)
    running, done, unused = iter(loader), iter(loader), iter(loader)
    next(running)
    list(done)
    loader.close()
    for batches in (running, unused):
        with pytest.raises(RuntimeError, match=r"this iteration - expected its loader open .* got close\(\) before"):
            next(batches)
    assert list(done) == []
    assert content(loader) == epochs[3]
    last = iter(loader)
    for _ in range(len(loader)):
        next(last)
    loader.close()  # as the body of a loop may do with the last batch
    assert list(last) == []
    loader.close()


def test_nothing_to_serve_starts_nothing(started):
    empty = make(num_workers=2).dataset.select(np.arange(0))
    for loader in (data.DataLoader(empty, 4, num_workers=2), make(batch_size=COUNT + 1, drop_last=True, num_workers=2)):
        assert len(loader) == 0 and list(loader) == [] and list(loader) == []
    assert list(make(num_workers=2).iterate(len(make()))) == [] and started == []


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.posix
def test_a_fork_takes_nothing_from_its_parents_iterations(epochs):
    with make(num_workers=2) as loader:
        batches = iter(loader)
        seen = content([next(batches)])
        answer, end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                next(batches)
            except RuntimeError as error:
                os.write(end, str(error).encode())
            os._exit(0)
        os.close(end)
        with os.fdopen(answer) as file:
            message = file.read()
        os.waitpid(child, 0)
        assert f"expected the process {os.getpid()}, which began it, got its fork {child}" in message
        assert seen + content(batches) == epochs[0]


@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
@pytest.mark.posix
def test_a_fork_starts_workers_of_its_own(epochs):
    with make(num_workers=2) as loader:
        list(loader)  # leaves workers that wait
        child = os.fork()
        if child == 0:
            code = 1
            try:
                workers = loader._take_pool()  # no whole batch: where OpenMP is, a fork may run no kernel
                code = 0 if workers.owner == os.getpid() and workers.at_rest else 2
                loader.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert content(loader) == epochs[1]  # the parent's own still live


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda loader: pickle.loads(pickle.dumps(loader))])
def test_copies_of_a_loader_that_runs(copied, epochs):
    with make(num_workers=1) as loader:
        list(loader)
        batches = iter(loader)
        seen = content([next(batches)])
        with copied(loader) as other:
            assert content(other) == epochs[2]
        assert seen + content(batches) == epochs[1]


# ------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize("name", data.DataLoader._SETTINGS)
def test_settings_stay_as_they_are(name):
    loader = make(num_workers=0)
    with pytest.raises(AttributeError, match=f"DataLoader: {name} - expected to stay .* make another loader"):
        setattr(loader, name, getattr(loader, name))


@pytest.mark.parametrize("epoch", [-1, 1.5, "2", True, None, 1 << 32])
def test_epochs_out_of_range(epoch):
    loader = make()
    with pytest.raises(ValueError, match="epoch - expected an integer, 0 to .*, got"):
        loader.set_epoch(epoch)
    loader.set_epoch((1 << 32) - 1)
    last, first = content(loader), content(loader)  # begins anew
    assert loader.epoch == 0 and first != last == content(chosen((1 << 32) - 1))


@pytest.mark.parametrize("start", [-1, 9, 1.0, "1", True, None])
def test_batches_to_start_with_that_are_none(start):
    with pytest.raises(ValueError, match="start_batch - expected an integer, 0 to 8, got"):
        make().iterate(start)
    assert list(make().iterate(8)) == []
