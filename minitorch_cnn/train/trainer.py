"""The training loop with saving, resuming, stopping and the final test."""

import contextlib
import itertools
import time
from collections.abc import Callable
from typing import Any, Self

import numpy as np

from minitorch_cnn import arguments, data, nn, optim, rng
from minitorch_cnn.tensor import Tensor
from minitorch_cnn.train import attributes, best, continuing, frozen, nan_check, network, setup, state
from minitorch_cnn.train.distributed import agreement, buckets
from minitorch_cnn.train.distributed.ranks import MpiProcesses, SingleProcess, given_ranks
from minitorch_cnn.train.features import FeatureLoader
from minitorch_cnn.train.interrupt import StopOnRequest
from minitorch_cnn.train.metrics.classifier import Classifier
from minitorch_cnn.train.objective import Objective
from minitorch_cnn.train.recipes import Recipe
from minitorch_cnn.train.report import results
from minitorch_cnn.train.report.reporter import Reporter, given_reporter
from minitorch_cnn.train.report.run_folder import RunFolder, RunFolderError, save_or_rescue
from minitorch_cnn.types import Array, Path


class Trainer:
    """Trains one model with one recipe and keeps the record in one folder.

    `fit` uses the training images alone; `final_eval` gets the test images once, at the end.

    Parameters
    ----------
    recipe : Recipe
    train_set : Dataset
        Such as `data.CIFAR10` with ``train=True``, or your own.
    folder : str or Path
        New or empty; `resume` continues an earlier run.
    source : str, Path or None
        Where the images are, for the record and for a later resume.
    seed : int, >= 0
        Of the weights, the order of the images, their augmentation and dropout.
    workers : int or None
        Processes that prepare batches; None means the recipe's number. The result does not depend on it.
    holdout : int, >= 0
        The number of training images that are not trained on but judged after every epoch, so that a schedule
        can be chosen without the test set. They are the same for every seed.
    model : Module, callable, str or None
        Your own network: an object, a class or function that makes one, or its ``FILE:NAME``. A class or
        function gets those of ``num_classes``, ``in_channels`` and ``image_size`` that it takes, and is recorded,
        so that `Classifier.load` and `resume` find it again. None means the recipe's network.
    save_every : float, seconds, >= 0
        Between checkpoints; the end of an epoch also saves one.
    reporter : Reporter or None
        Where progress is shown; None means standard error, on rank 0.
    ranks : SingleProcess, MpiProcesses or None
        The processes that share each batch, see `connect`; None trains alone. A resume may have other ranks.
    sync_bn : bool
        Normalise over the whole batch, not over each rank's share, in a fixed order: 1, 2 or 4 ranks, same bits.
    accumulate : int, >= 1
        Divide each batch into this many parts, each with its own batch norm, for batches beyond memory.
    save_epochs : bool
        Keep a classifier of the start and of every epoch, for a film; see `explain.filter_film`.
    first_epoch : int, >= 0
        How many epochs an earlier run has done, see `train.more`.
    on_epoch : callable or None
        Called on rank 0 after every epoch with the trainer and its line of ``run.jsonl``, a dict; see `LiveChart`. With
        several ranks, it must not change the network.

    Attributes
    ----------
    average_gradients : callable
        Called with the list of parameters between ``backward()`` and the optimiser's step. It averages the
        gradients of several processes.
    state : TrainingState
        Model, optimiser, schedule and progress.
    settings : dict
        What was chosen before the first step; every file of the run holds it.

    Raises
    ------
    RunFolderError
        If the folder is in use.
    TypeError
        If an argument has another type.
    ValueError
        If an argument is out of range, there are fewer images than a batch, a batch is too small to be divided, or
        features are cached although more than the last layer learns.
    """

    def __init__(
        self,
        recipe: Recipe,
        train_set: data.Dataset,
        folder: Path | RunFolder | None,
        *,
        source: Path | None = None,
        seed: int = 0,
        workers: int | None = None,
        holdout: int = 0,
        model: network.Model | None = None,
        save_every: float = 30.0,
        reporter: Reporter | None = None,
        ranks: SingleProcess | MpiProcesses | None = None,
        sync_bn: bool = False,
        accumulate: int = 1,
        save_epochs: bool = False,
        first_epoch: int = 0,
        on_epoch: Callable[["Trainer", dict[str, Any]], None] | None = None,
    ):
        self.recipe, self.ranks = recipe, given_ranks("Trainer", ranks)
        self.train_set = train_set = data.samples.as_arrays("Trainer", "train_set", train_set)
        given = source, seed, holdout, sync_bn, accumulate, save_epochs, first_epoch
        vars(self).update(options := setup.options(recipe, self.ranks, dict(zip(state.OPTIONS, given, strict=True))))
        arguments.number("Trainer", least=0, save_every=save_every)
        self.save_every, self.on_epoch = float(save_every), setup.callback(on_epoch)
        self.reporter = given_reporter(reporter, self.ranks.rank)
        random = rng.stream(self.seed)  # of this training alone
        kept, self.held_out = setup.held_out(train_set, self.holdout)
        self.loader = setup.batches(recipe, kept, self.ranks, workers, self.seed)
        self.loss = Objective(recipe, kept.labels, len(train_set.classes))
        with rng.using(random):
            model, architecture = network.describe(model, recipe.model, self._sizes())
        self.settings = state.settings(recipe, train_set, architecture, options | {"frozen": frozen.record(model)})
        self.state = self._first_state(nn.fuse(model), random)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.classifier = setup.checked(Classifier(self.model, self.settings))
        self.watch = attributes.Watch(self.model)
        self.trainable = self.model  # what computes the logits of a batch
        if recipe.cache_features:
            self.trainable = setup.only_trainable(self.model)
            self.loader = FeatureLoader(self.classifier, self.loader, self.reporter)
        self.average_gradients = buckets.make_reducer(self.ranks, self.parameters)
        self.made = continuing.parts(self)
        folder = folder if self.ranks.rank or isinstance(folder, RunFolder) else RunFolder.create(folder)
        self.folder = RunFolder(self.ranks.first(str(getattr(folder, "path", folder))))  # rank 0 writes into it
        self.checkpoints = state.Checkpoints(self.folder.path)

    def _sizes(self):
        """Return what a network has to fit: the number of classes, and channels and side of the images."""
        _, height, _, channels = self.train_set.images.shape
        size, classes = self.recipe.image_size or height, len(self.train_set.classes)
        return {"num_classes": classes, "in_channels": channels, "image_size": size}

    def _first_state(self, model, random):
        """Return the state before the first step."""
        if self.sync_bn:
            nn.sync_batch_norm(model, self.ranks.sum)
        setup.prepare(self.recipe, model, self.loader.dataset)
        steps = setup.total_steps(self.recipe.epochs - self.first_epoch, len(self.loader))
        optimizer, self.main_group = setup.optimizer(self.recipe, model), setup.main_group(self.recipe, model)
        schedule, average = setup.schedule(self.recipe, optimizer, steps), setup.average(self.recipe, model, steps)
        return state.TrainingState(model, optimizer, schedule, state.Progress(), average, random)

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.state.model

    @property
    def optimizer(self) -> optim.Optimizer:
        """The optimiser of the layers that learn."""
        return self.state.optimizer

    @property
    def schedule(self) -> optim.Schedule:
        """The schedule of the learning rate."""
        return self.state.schedule

    @property
    def progress(self) -> state.Progress:
        """Epoch, batch, running sums and history; see `Progress`."""
        return self.state.progress

    # ------------------------------------------------------------------------------ training

    def fit(self) -> bool:
        """Train to the end, see `Recipe`, or until the first request to stop: Ctrl-C, SIGTERM, SIGUSR1 or SIGHUP.

        Returns
        -------
        bool
            True at the end; False if it stopped after a batch, on request. `resume` continues from there.

        Raises
        ------
        TrainingDivergedError
            At the first NaN or infinity, before it reaches the weights.
        RunFolderError
            If another process works in the folder.
        FolderGoneError
            If the folder is gone: the message names the folder that has the checkpoint instead.
        KeyboardInterrupt
            At the second Ctrl-C.
        """
        with StopOnRequest() as request, self._running():
            while not best.at_end(self.recipe, self.progress, self.first_epoch):
                if not self._epoch(request):
                    return False
                self._end_epoch()
        self.state.finish()
        return True

    def _epoch(self, request):
        """Learn from the remaining batches of the epoch; return False if a request to stop came."""
        self.model.train()
        setup.begin_epoch(self.recipe, self.model, self.progress.epoch)
        self.loader.set_epoch(self.progress.epoch)
        wanted = setup.total_steps(self.recipe.epochs - self.progress.epoch, len(self.loader))  # at the end: fewer
        with contextlib.closing(self.loader.iterate(start_batch=self.progress.batch)) as batches:
            for images, labels in itertools.islice(batches, wanted - self.progress.batch):
                self.step(images, labels)
                flags = self.ranks.sum([int(request.requested), int(time.monotonic() >= self._next_save)])
                if flags.any():  # of one rank; all follow it
                    self.save()
                if flags[0]:
                    return False
        return True

    def step(self, images: Tensor, labels: Array) -> None:
        """Learn from this rank's share of a batch: images (N, C, H, W), or features (N, D); labels (N,) or (N, K)."""
        totals = self.learn(images, labels)
        if not self.schedule.needs_measurement:  # which comes at the end of the epoch
            self.schedule.step()
        self.ranks.average_statistics(self.model)
        self.state.follow()
        self._count(totals)

    def learn(self, images: Tensor, labels: Array) -> Array:
        """Take one step at the present learning rates; return the sum of the losses, right answers and images."""
        self.optimizer.zero_grad()
        totals = np.zeros(3)  # sum of the losses, right answers, images
        for part in setup.parts(len(labels), self.accumulate):
            x, answers = Tensor(images.data[part]), labels[part]
            with setup.as_chosen(self, buckets.blocks_per_rank(self.ranks, self.sync_bn)):
                logits = self.trainable(x)
                loss, count = self.loss(logits, answers)
                self.stop_at(nan_check.bad_loss(self.trainable, x, loss.item()))
                # Weighted by its share of the batch, so that the sum over the parts is the mean over the batch.
                share = np.asarray(count / self.recipe.batch_size, loss.dtype)
                # During the last backward, gradients that are ready are sent to the other ranks.
                ready = getattr(self.average_gradients, "ready", None) if part.stop == len(labels) else None
                loss.backward(share, on_leaf=ready)
            totals += loss.item() * count, self.loss.right(logits.data, answers), len(answers)
        self.average_gradients(self.parameters)
        self.stop_at(nan_check.bad_gradient(self.model))
        self.optimizer.step()
        return totals

    def _count(self, totals):
        """Record a finished step, and show it."""
        loss_sum, correct, count = self.ranks.sum(totals).tolist()
        self.progress.count(loss_sum, int(correct), int(count))
        agreement.on_parameters(self.ranks, self.progress.step, self.parameters)
        self.reporter.step(self.progress)

    def stop_at(self, fault: str | None) -> None:
        """Raise TrainingDivergedError if there is a fault, a sentence of `nan_check`."""
        if fault:
            good = next(iter(self.checkpoints.paths()), None)
            raise nan_check.diverged(fault, self.progress, good, self.recipe.peak_lr)

    @contextlib.contextmanager
    def _running(self):
        """Hold folder, clock, progress bar and worker processes during a `fit`."""
        with self._locked():
            continuing.note_changes(self)  # refuses what no file can record, before the first step
            agreement.at_start(self.ranks, self.settings, self.progress.step, self.parameters)
            with rng.using(self.state.random):
                rng.jump(self.ranks.rank)  # each rank has its own dropout
            if not self.ranks.first(bool(self.checkpoints.paths())):
                self.save()  # so that there is one from the first step on
            self._write_history()  # that of a killed run may be a line ahead of its checkpoint
            self._next_save = time.monotonic() + self.save_every
            self.progress.start_clock()
            before = self.progress.step - self.progress.batch  # an earlier run may have left out the end of an epoch
            steps = before + setup.total_steps(self.recipe.epochs - self.progress.epoch, len(self.loader))
            self.reporter.begin(self.recipe, len(self.loader), self.progress.step, steps)
            try:
                yield
            finally:
                self.reporter.end()
                self.loader.close()

    def _locked(self):
        """Return a context in which no other process works in the folder; rank 0 keeps the lock for all."""
        if self.ranks.rank:
            return contextlib.nullcontext()
        if others := self.checkpoints.of_others():
            raise RunFolderError(
                f"{self.folder.path} - expected the run as it was read, got {others[0].name} of a process that has "
                "continued it since; resume it again"
            )
        return self.folder.lock()

    def _end_epoch(self):
        rate = self.schedule.lr(max(self.schedule.steps - 1, 0))[self.main_group]  # that of the last step
        continuing.note_changes(self)
        with self.state.judged():
            judged = self.classifier.evaluate(self.held_out, self.ranks) if self.holdout else None
            record = self.progress.end_epoch(rate, judged)
            best.keep(self)  # before the checkpoint: a resumed run has what its history speaks of
        if self.schedule.needs_measurement:
            self.schedule.step(record["train_loss"] if judged is None else judged.loss)
        self.save()
        self._write_history()
        self.reporter.end_epoch(record)
        with agreement.unchanged(self.ranks, self.model, self.parameters):
            if self.on_epoch is not None and self.ranks.rank == 0:
                self.on_epoch(self, record)
        if self.on_epoch is not None and self.ranks.rank == 0:
            self._write()  # again: what it has set, such as frozen layers, is part of the run

    def _write_history(self):
        if self.ranks.rank == 0:
            self.folder.write_history(self.progress.history)
            if self.save_epochs and self.progress.batch == 0:
                self.classifier.save(self.folder.path / f"epoch-{self.progress.epoch:03d}.safetensors")

    # --------------------------------------------------------------------- saving and resuming

    def save(self) -> Any:
        """Write a checkpoint of the current state and return its path, or None if another rank writes it.

        Raises
        ------
        FolderGoneError
            If the folder is gone: the message names the folder that has the checkpoint instead.
        """
        self._next_save = time.monotonic() + self.save_every
        return None if self.ranks.rank else self._write()

    def _write(self):
        continuing.note_changes(self)
        return save_or_rescue(self.checkpoints, self.progress.step, state.snapshot(self.state, self.settings))

    @classmethod
    def resume(
        cls, folder: Path, train_set: data.Dataset, *, model: network.Model | None = None, **options: Any
    ) -> Self:
        """Continue an earlier run from its newest complete checkpoint, with the bits of a run without interruption.

        Parameters
        ----------
        folder : str or Path
        train_set : Dataset
            The same images as before; mean and std are those of the run.
        model : Module, callable, str or None
            As for `Trainer`; None makes the network that the run recorded.
        options
            ``workers``, ``save_every``, ``reporter``, ``ranks`` and ``on_epoch`` as for `Trainer`.

        Returns
        -------
        Trainer

        Raises
        ------
        RunFolderError, CheckpointError
            If there is no such run, another process works in it, or no checkpoint of it can be read.
        ValueError
            If the images, the classes, their order, or the model differ from those of the run.
        """
        earlier = continuing.read(folder, train_set, model, "resume")
        trainer = cls(earlier.recipe, earlier.train_set, earlier.folder, **earlier.options, **options)
        continuing.restore(trainer, earlier)
        return trainer

    # -------------------------------------------------------------------------- the final test

    def final_eval(self, test_set: data.Dataset | None = None) -> dict[str, Any]:
        """Use the test set, once, and write the results of the run.

        Parameters
        ----------
        test_set : Dataset or None
            Such as `data.CIFAR10` with ``train=False``. None leaves it alone: the held-out images judge.

        Returns
        -------
        dict
            ``result.json``.

        Raises
        ------
        RuntimeError
            If training is not at its end, or this run has its result already.
        RunFolderError
            If another process works in the folder.
        ValueError
            If the test set has other classes or is the training set, or there is neither a test set nor a holdout.
        """
        eval_set, kind = results.eval_set(self, test_set), "holdout" if test_set is None else "test"
        with self._locked():
            continuing.note_changes(self)
            if kind == "test":
                self.progress.test_reads += 1
                self.save()  # before it is used, so that a crash cannot hide it
            self.reporter.say(f"judging {len(eval_set.labels):,} images")
            return results.write(self, eval_set, kind)
