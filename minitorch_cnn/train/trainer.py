"""The training loop, and all that surrounds it: saving, resuming, stopping, the final test."""

import contextlib
import dataclasses
import time

from minitorch_cnn import data, models, nn, ops, rng
from minitorch_cnn.train import guard, parts, results, snapshot
from minitorch_cnn.train.checkpoint import Checkpoints
from minitorch_cnn.train.classifier import Classifier
from minitorch_cnn.train.features import FeatureLoader
from minitorch_cnn.train.interrupt import StopOnRequest
from minitorch_cnn.train.progress import Progress
from minitorch_cnn.train.recipes import Recipe
from minitorch_cnn.train.reporter import Reporter
from minitorch_cnn.train.run_folder import RunFolder


def keep_gradients(parameters):
    """Leave the gradients as they are: this process trains alone."""


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
        Where progress is shown; None takes standard error.

    Attributes
    ----------
    average_gradients : callable
        Called with the list of parameters between ``backward()`` and the optimiser's step: the one
        place where several processes that share the work would average their gradients.

    Raises
    ------
    RunFolderError
        If the folder is in use.
    ValueError
        If the images are too few for a batch, the holdout leaves too few, or features shall be cached
        that change because more than the last layer learns.
    """

    average_gradients = staticmethod(keep_gradients)

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
    ):
        rng.manual_seed(seed)
        architecture = {
            "name": recipe.model,
            "num_classes": len(train_set.classes),
            "image_size": recipe.image_size or train_set.images.shape[1],
        }
        self.recipe, self.train_set, self.source, self.seed, self.holdout = recipe, train_set, source, seed, holdout
        self.save_every = save_every
        self.reporter = reporter or Reporter()
        self.progress = Progress()
        kept, self.held_out = data.hold_out(train_set, holdout) if holdout else (train_set, None)
        self.loader = data.DataLoader(
            kept,
            batch_size=recipe.batch_size,
            shuffle=True,
            drop_last=True,
            num_workers=recipe.workers if workers is None else workers,
            transforms=parts.augmentation(recipe),
            seed=seed,
        )
        if len(self.loader) == 0:
            expected = f"at least one batch of {recipe.batch_size} images"
            raise ValueError(f"Trainer: train_set - expected {expected}, got {len(kept.labels)} images")
        self.model = nn.fuse(models.create(**architecture) if model is None else model)
        if recipe.freeze_until is not None:
            self.model.freeze(recipe.freeze_until)
        self.optimizer = parts.optimizer(recipe, self.model)
        self.parameters = [parameter for group in self.optimizer.param_groups for parameter in group["params"]]
        self.schedule = parts.schedule(recipe, self.optimizer, recipe.epochs * len(self.loader))
        self.classifier = Classifier(self.model, {"architecture": architecture, **snapshot.settings(self)})
        self.learner = self.model  # what the batches go through
        if recipe.cache_features:
            self.learner = parts.only_learner(self.model)
            self.loader = FeatureLoader(self.classifier, self.loader, self.reporter.say)
        self.folder = folder if isinstance(folder, RunFolder) else RunFolder.create(folder)
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
                        if ctrl_c.requested:
                            self.save()
                            return False
                        if time.monotonic() >= self._next_save:
                            self.save()
                self._end_epoch()
        return True

    def step(self, images, labels):
        """Learn from one batch: images (N, 3, H, W), or cached features (N, D), and labels (N,)."""
        logits = self.learner(images)
        loss = ops.cross_entropy(logits, labels, label_smoothing=self.recipe.label_smoothing)
        self._stop_at(guard.bad_loss(self.learner, images, loss.item()))
        self.optimizer.zero_grad()
        loss.backward()
        self.average_gradients(self.parameters)
        self._stop_at(guard.bad_gradient(self.model))
        self.optimizer.step()
        self.schedule.step()
        self.progress.count(loss.item(), logits.data, labels)
        self.reporter.step(self.progress)

    def _stop_at(self, fault):
        if fault:
            epoch, batch, peak = self.progress.epoch + 1, self.progress.batch + 1, self.recipe.peak_lr
            good = next(iter(self.checkpoints.paths()), None)
            raise guard.TrainingDivergedError(
                f"epoch {epoch}, batch {batch}: {fault}. Stopped before the optimiser's step; last good checkpoint: "
                f"{good}. Try a peak learning rate of {peak / 10:g} instead of {peak:g}."
            )

    @contextlib.contextmanager
    def _running(self):
        """Keep clock, progress bar and worker processes for the time of a `fit`."""
        if not self.checkpoints.paths():
            self.save()  # so that there is one to go back to from the first step on
        self.folder.write_history(self.progress.history)  # a killed run may have been a line ahead of its checkpoint
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
        judged = self.classifier.evaluate(self.held_out) if self.holdout else None
        record = self.progress.end_epoch(rate, judged)
        self.save()
        self.folder.write_history(self.progress.history)
        self.reporter.end_epoch(record)

    # --------------------------------------------------------------------- saving and resuming

    def save(self):
        """Write a checkpoint of this moment and return its path."""
        self._next_save = time.monotonic() + self.save_every
        return self.checkpoints.save(self.progress.step, snapshot.take(self))

    @classmethod
    def resume(cls, folder, train_set, **options):
        """Go on with an earlier run from its newest whole checkpoint; the bits are those of a run without a break.

        Parameters
        ----------
        folder : str or Path
        train_set : dataset
            The same images as before; they are normalised as the run began.
        options
            ``workers``, ``model``, ``save_every`` and ``reporter`` as for `Trainer`.

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
        state, notes = Checkpoints(run.path).load()
        settings = state["settings"]
        if train_set.digest != settings["dataset_digest"]:
            expected = f"{settings['dataset']} of digest {settings['dataset_digest']}"
            raise ValueError(f"resume: train_set - expected {expected}, got {train_set.name} of {train_set.digest}")
        train_set = dataclasses.replace(train_set, mean=settings["mean"], std=settings["std"])
        kept = {key: settings[key] for key in ("source", "seed", "holdout")}
        trainer = cls(Recipe(**settings["recipe"]), train_set, run, **kept, **options)
        for note in notes:
            trainer.reporter.say(note)
        snapshot.put_back(trainer, state)
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
        if (done := self.progress.epoch) < self.recipe.epochs:
            raise RuntimeError(f"final_eval: expected {self.recipe.epochs} epochs of training first, got {done}")
        if self.folder.read_result() is not None:
            raise RuntimeError(f"final_eval: expected a run without a result, got one in {self.folder.result}")
        judges = self.held_out if test_set is None else test_set
        if judges is None or tuple(judges.classes) != tuple(self.train_set.classes):
            got = "none, and no holdout" if judges is None else f"{judges.name} with {tuple(judges.classes)}"
            expected = f"one with the classes {tuple(self.train_set.classes)}"
            raise ValueError(f"final_eval: test_set - expected {expected}, got {got}")
        if test_set is not None:
            self.progress.test_reads += 1
            self.save()  # before the look, so that a crash cannot hide it
        return results.write(self, judges, "holdout" if test_set is None else "test")
