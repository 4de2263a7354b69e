"""What a finished run leaves in its folder: the model, ``result.json`` and three pictures."""

from minitorch_cnn.data.dataset import contents_digest
from minitorch_cnn.data.samples import as_arrays
from minitorch_cnn.display import figures
from minitorch_cnn.train import best
from minitorch_cnn.train.machine import environment
from minitorch_cnn.train.report import plots


def eval_set(trainer, test_set):
    """Return the images that judge a run: the test set or, without one, those held out; errors as `Trainer.final_eval`.

    A run that is not at its end, or was judged before, must not use them.
    """
    if not best.at_end(trainer.recipe, trainer.progress, trainer.first_epoch):
        epochs, done = trainer.recipe.epochs, trainer.progress.epoch
        raise RuntimeError(f"final_eval: expected {epochs} epochs of training first, got {done}")
    if trainer.folder.read_result() is not None:
        raise RuntimeError(f"final_eval: expected a run without a result, got one in {trainer.folder.result}")
    chosen, classes = trainer.held_out, tuple(trainer.train_set.classes)
    if test_set is not None:
        chosen = as_arrays("final_eval", "test_set", test_set, classes)
        if contents_digest(chosen) == trainer.settings["data_sha256"]:
            expected = "images that the run has not learned from, got its training set"
            raise ValueError(f"final_eval: test_set - expected {expected}; see Classifier.evaluate")
    if chosen is None or tuple(chosen.classes) != classes:
        got = "none, and no holdout" if chosen is None else f"{chosen.name} with {tuple(chosen.classes)}"
        raise ValueError(f"final_eval: test_set - expected one with the classes {classes}, got {got}")
    channels, shape = len(trainer.train_set.mean), chosen.images.shape
    if not shape[0] or shape[3] != channels:
        raise ValueError(f"final_eval: test_set - expected images of {channels} channels, at least one, got {shape}")
    return chosen


def write(trainer, eval_set, kind):
    """Judge a trained model and write the files of the finished run into its folder.

    Parameters
    ----------
    trainer : Trainer
    eval_set : dataset
        The images to judge it by.
    kind : str
        "test" or "holdout": what these images are called in ``result.json``.

    Returns
    -------
    dict
        ``result.json``. It is written before the pictures, which can be drawn again from the rest, and by
        rank 0 alone.
    """
    folder, progress, settings = trainer.folder, trainer.progress, trainer.settings
    classifier, kept = best.classifier(trainer), progress.history[-1]
    if trainer.recipe.keeps_best:
        kept = best.epoch(progress.history)
    judged = classifier.evaluate(eval_set, trainer.ranks, trainer.recipe.views)
    if trainer.ranks.rank:
        return trainer.ranks.first(None)
    digest = classifier.save(folder.model)
    result = {
        "recipe": trainer.recipe.name,
        "model": settings["architecture"]["name"],
        "dataset": settings["dataset"],
        "dataset_digest": settings["dataset_digest"],
        "verified": settings["verified"],
        "seed": trainer.seed,
        "epochs": progress.epoch,
        "kept_epoch": kept["epoch"],
        "steps": progress.step,
        "seconds": round(progress.seconds, 3),
        "test_accuracy": None,
        "test_loss": None,
        "test_reads": progress.test_reads,
        f"{kind}_accuracy": judged.accuracy,
        f"{kind}_loss": judged.loss,
        f"{kind}_images": len(eval_set.labels),
        "views": judged.views,
        f"plain_{kind}_accuracy": judged.plain_accuracy,
        "train_accuracy": kept["train_accuracy"],
        "train_loss": kept["train_loss"],
        "loss_fingerprint": progress.fingerprint,
        "weights_sha256": digest,
        "settings": settings,
        "ranks": trainer.ranks.size,
        "environment": environment(),
    }
    folder.write_result(result)
    result = trainer.ranks.first(result)  # before the pictures, for which the other ranks need not wait
    trained = plots.trained_by(trainer.recipe.name, result["model"], trainer.recipe.model)
    title = f"{trained} on {settings['dataset']}, seed {trainer.seed}"
    test_accuracy = judged.accuracy if kind == "test" else None
    figures.save(plots.curves(progress.history, title, test_accuracy, kept["epoch"]), folder.curves)
    classes = classifier.classes
    figures.save(plots.confusion(eval_set.labels, judged.predictions, classes), folder.confusion)
    figures.save(plots.mistakes(eval_set.images, eval_set.labels, judged.probabilities, classes), folder.mistakes)
    return result
