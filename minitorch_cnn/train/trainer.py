"""The training loop, and all that surrounds it: saving, resuming, stopping, the final test."""

import contextlib
import dataclasses
import time

from minitorch_cnn import data, models, nn, rng
from minitorch_cnn.train import nan_check, setup, state
from minitorch_cnn.train.distributed import agreement, buckets
from minitorch_cnn.train.distributed.ranks import Alone, Silence
from minitorch_cnn.train.features import FeatureLoader
from minitorch_cnn.train.interrupt import StopOnRequest
from minitorch_cnn.train.metrics.classifier import Classifier
from minitorch_cnn.train.recipes import Recipe
from minitorch_cnn.train.report import results
from minitorch_cnn.train.report.reporter import Reporter
from minitorch_cnn.train.report.run_folder import RunFolder
from minitorch_cnn.train.state import Checkpoints, Progress


class Trainer:
    """Trains one model by one recipe and keeps the record in one folder.

    The trainer never has the test set: `fit` works on the training images alone, and `final_eval`,
    at the end, gets the test images for one look.

    Parameters
    ----------
    recipe : Recipe
    train_set : dataset
        Such as `data.CIFAR10` with ``train=True``.
    folder : str or Path
        New or empty; `resume` goes on with an earlier one.
    source : str or None
        Where the images lie, for the record and for whoever resumes.
    seed : int, >= 0
        Of the weights, the order of the images, their augmentation and dropout.
    workers : int or None
        Processes that prepare batches; None takes the recipe's number. The result does not depend on it.
    holdout : int, >= 0
        So many training images are not trained on but judged after every epoch: what to choose a
        schedule by. They are the same ones for every seed.
    model : Module or None
        An own model; None makes the recipe's.
    save_every : float, seconds
        Between checkpoints; each epoch ends with one besides.
    reporter : Reporter or None
        Where progress is shown; None takes standard error, on rank 0.
    ranks : Alone, Mpi or None
        The processes that share each batch, see `connect`; None trains alone. A resume may have others.
    sync_bn : bool
        Normalise over the whole batch, not each rank's share, and add it up in one order: 1, 2 or 4 ranks, same bits.
    accumulate : int, >= 1
        Go through a batch in so many parts, each with its own batch norm, for batches beyond memory.
    save_epochs : bool
        Keep a classifier of the start and of every epoch, for a film; see `explain.filter_film`.

    Attributes
    ----------
    average_gradients : callable
        Called with the list of parameters between ``backward()`` and the optimiser's step: the one
        place where several processes that share the work average their gradients.

    Raises
    ------
    RunFolderError
        If the folder is in use.
    ValueError
        If the images are too few for a batch, the holdout leaves too few, a batch is too small for all its
        shares, or features shall be cached that change because more than the last layer learns.
    """

    def __init__(
        self,
        recipe,
        train_set,
        folder,
        *,
        source=None,
        seed=0,
        workers=None,
        holdout=0,
        model=None,
        save_every=30.0,
        reporter=None,
        ranks=None,
        sync_bn=False,
        accumulate=1,
        save_epochs=False,
    ):
        rng.manual_seed(seed)
        architecture = {
            "name": recipe.model,
            "num_classes": len(train_set.classes),
            "image_size": recipe.image_size or train_set.images.shape[1],
        }
        self.recipe, self.train_set, self.source, self.seed, self.holdout = recipe, train_set, source, seed, holdout
        self.save_every, self.save_epochs, self.sync_bn, self.accumulate = save_every, save_epochs, sync_bn, accumulate
        self.ranks = ranks = ranks or Alone()
        least = recipe.batch_size // ranks.size  # images of the smallest share
        if not 1 <= accumulate <= least:
            raise ValueError(f"Trainer: accumulate - expected 1 to {least}, the images of a rank, got {accumulate!r}")
        self.reporter = (reporter or Reporter()) if ranks.rank == 0 else Reporter(Silence())
        self.progress = Progress()
        kept, self.held_out = data.hold_out(train_set, holdout) if holdout else (train_set, None)
        self.loader = data.DataLoader(
            kept,
            batch_size=recipe.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=data.possible_workers(-(-recipe.workers // ranks.local_size)) if workers is None else workers,
            transforms=setup.augmentation(recipe),
            seed=seed,
            share=(ranks.rank, ranks.size),
        )
        if len(self.loader) == 0:
            expected = f"at least one batch of {recipe.batch_size} images"
            raise ValueError(f"Trainer: train_set - expected {expected}, got {len(kept.labels)} images")
        self.model = nn.fuse(models.create(**architecture) if model is None else model)
        if sync_bn:
            nn.sync_batch_norm(self.model, ranks.sum)
        setup.prepare(recipe, self.model)
        self.optimizer = setup.optimizer(recipe, self.model)
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.schedule = setup.schedule(recipe, self.optimizer, recipe.epochs * len(self.loader))
        self.classifier = Classifier(self.model, {"architecture": architecture, **state.settings(self)})
        self.learner = self.model  # what the batches go through
        if recipe.cache_features:
            self.learner = setup.only_learner(self.model)
            self.loader = FeatureLoader(self.classifier, self.loader, self.reporter.say)
        self.average_gradients = buckets.average(ranks, self.parameters)
        if ranks.rank == 0 and not isinstance(folder, RunFolder):
            folder = RunFolder.create(folder)
        self.folder = RunFolder(ranks.first(str(getattr(folder, "path", folder))))  # that of rank 0, which writes it
        self.checkpoints = Checkpoints(self.folder.path)

    # ------------------------------------------------------------------------------ training

    def fit(self):
        """Train to the end of the schedule, or until the first Ctrl-C.

        Returns
        -------
        bool
            True at the end; False if Ctrl-C stopped it after a batch. `resume` goes on from there.

        Raises
        ------
        TrainingDivergedError
            At the first NaN or infinity, before it reaches the weights.
        KeyboardInterrupt
            At the second Ctrl-C.
        """
        progress = self.progress
        with self._running(), StopOnRequest() as ctrl_c:
            while progress.epoch < self.recipe.epochs:
                self.model.train()
                self.loader.set_epoch(progress.epoch)
                with contextlib.closing(self.loader.iterate(start_batch=progress.batch)) as batches:
                    for images, labels in batches:
                        self.step(images, labels)
                        wishes = self.ranks.sum([int(ctrl_c.requested), int(time.monotonic() >= self._next_save)])
                        if wishes.any():  # of one rank, which all follow
                            self.save()
                        if wishes[0]:
                            return False
                self._end_epoch()
        return True

    def step(self, images, labels):
        """Learn from this rank's share of a batch: images (N, 3, H, W), or cached features (N, D), and labels (N,)."""
        self.optimizer.zero_grad()
        counted = buckets.of_batch(self, images, labels)
        self.average_gradients(self.parameters)
        self.stop_at(nan_check.bad_gradient(self.model))
        self.optimizer.step()
        self.schedule.step()
        loss_sum, correct, count = self.ranks.sum(counted).tolist()
        self.progress.count(loss_sum, int(correct), int(count))
        agreement.on_parameters(self)
        self.reporter.step(self.progress)

    def stop_at(self, fault):
        """Raise TrainingDivergedError if there is a fault, a sentence of `guard`."""
        if fault:
            epoch, batch, peak = self.progress.epoch + 1, self.progress.batch + 1, self.recipe.peak_lr
            good = next(iter(self.checkpoints.paths()), None)
            raise nan_check.TrainingDivergedError(
                f"epoch {epoch}, batch {batch}: {fault}. Stopped before the optimiser's step; last good checkpoint: "
                f"{good}. Try a peak learning rate of {peak / 10:g} instead of {peak:g}."
            )

    @contextlib.contextmanager
    def _running(self):
        """Keep clock, progress bar and worker processes for the time of a `fit`."""
        agreement.at_start(self)
        rng.jump(self.ranks.rank)  # each rank has its own dropout
        if not self.ranks.first(bool(self.checkpoints.paths())):
            self.save()  # so that there is one to go back to from the first step on
        self._write_history()  # a killed run may have been a line ahead of its checkpoint
        self._next_save = time.monotonic() + self.save_every
        self.progress.start_clock()
        self.reporter.begin(self.recipe, len(self.loader), self.progress.step)
        try:
            yield
        finally:
            self.reporter.end()
            self.loader.close()

    def _end_epoch(self):
        rate = max(self.schedule.lr(self.progress.step - 1))  # that of the last step
        self.ranks.average_statistics(self.model)
        judged = self.classifier.evaluate(self.held_out, self.ranks) if self.holdout else None
        record = self.progress.end_epoch(rate, judged)
        self.save()
        self._write_history()
        self.reporter.end_epoch(record)

    def _write_history(self):
        if self.ranks.rank == 0:
            self.folder.write_history(self.progress.history)
            if self.save_epochs and self.progress.batch == 0:
                self.classifier.save(self.folder.path / f"epoch-{self.progress.epoch:03d}.safetensors")

    # --------------------------------------------------------------------- saving and resuming

    def save(self):
        """Write a checkpoint of this moment and return its path, or None if another rank does it."""
        self._next_save = time.monotonic() + self.save_every
        self.ranks.average_statistics(self.model)
        return None if self.ranks.rank else self.checkpoints.save(self.progress.step, state.take(self))

    @classmethod
    def resume(cls, folder, train_set, **options):
        """Go on with an earlier run from its newest whole checkpoint; the bits are those of a run without a break.

        Parameters
        ----------
        folder : str or Path
        train_set : dataset
            The same images as before; they are normalised as the run began.
        options
            ``workers``, ``model``, ``save_every``, ``reporter`` and ``ranks`` as for `Trainer`.

        Returns
        -------
        Trainer

        Raises
        ------
        RunFolderError, CheckpointError
            If there is no such run, or no checkpoint of it can be read.
        ValueError
            If the images are others.
        """
        run = RunFolder.open(folder)
        saved, notes = Checkpoints(run.path).load()
        settings = saved["settings"]
        if train_set.digest != settings["dataset_digest"]:
            expected = f"{settings['dataset']} of digest {settings['dataset_digest']}"
            raise ValueError(f"resume: train_set - expected {expected}, got {train_set.name} of {train_set.digest}")
        train_set = dataclasses.replace(train_set, mean=settings["mean"], std=settings["std"])
        kept = {key: settings[key] for key in state.OPTIONS if key in settings}
        trainer = cls(Recipe(**settings["recipe"]), train_set, run, **kept, **options)
        for note in notes:
            trainer.reporter.say(note)
        state.put_back(trainer, saved)
        return trainer

    # -------------------------------------------------------------------------- the final test

    def final_eval(self, test_set=None):
        """Look at the test set, once, and write the results of the run.

        Parameters
        ----------
        test_set : dataset or None
            Such as `data.CIFAR10` with ``train=False``. None leaves the test set alone: the held-out
            images judge.

        Returns
        -------
        dict
            ``result.json``.

        Raises
        ------
        RuntimeError
            If training is not at its end, or this run has its result already.
        ValueError
            If the test set has other classes, or there is neither a test set nor a holdout.
        """
        judges, kind = results.judges(self, test_set), "holdout" if test_set is None else "test"
        if kind == "test":
            self.progress.test_reads += 1
            self.save()  # before the look, so that a crash cannot hide it
        return results.write(self, judges, kind)
