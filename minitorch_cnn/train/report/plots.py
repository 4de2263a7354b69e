"""The pictures of a run: learning curves, confusion matrix, worst mistakes.

Each function returns a matplotlib `Figure`; `figures.save` writes it.
"""

import numpy as np

from minitorch_cnn.display import figures
from minitorch_cnn.display.figures import BLUE, GREEN, GREY, ORANGE, PINK, SKY, YELLOW
from minitorch_cnn.train.metrics.views import answers_of

_COLORS = BLUE, ORANGE, GREEN, YELLOW, GREY, PINK, SKY  # of runs
_MARKERS = "o", "s", "^", "D"


def trained_by(recipe, model, usual):
    """Return who trained a network: the name of the recipe, after that of the network unless this is the ``usual`` one.

    Parameters
    ----------
    recipe : str
    model : str or None
        As the result names it; older results do not.
    usual : str or None
        The network of the recipe.
    """
    return recipe if model in (None, recipe, usual) else f"{model} by {recipe}"


@figures.style()
def curves(history, title, test_accuracy=None, kept=None):
    """Draw loss and accuracy against the epoch.

    Parameters
    ----------
    history : list of dict
        The lines of ``run.jsonl``.
    title : str
    test_accuracy : float or None, 0 to 1
        Drawn as a horizontal line.
    kept : int or None
        The epoch whose weights were kept; drawn as a vertical line unless it is the last.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = figures.blank(title)
    loss, accuracy = figure.subplots(1, 2)
    epochs = [record["epoch"] for record in history]
    for axes, key, label in ((loss, "loss", "Loss"), (accuracy, "accuracy", "Accuracy")):
        axes.plot(epochs, [record[f"train_{key}"] for record in history], "o-", color=BLUE, label="training")
        if history and f"holdout_{key}" in history[0]:
            held_out = [record[f"holdout_{key}"] for record in history]
            axes.plot(epochs, held_out, "s--", color=ORANGE, label="held-out images")
        if history and kept not in (None, epochs[-1]):
            axes.axvline(kept, color="0.4", ls=":", label=f"kept: epoch {kept}")
        axes.set_title(label)
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid()
    loss.set_ylim(bottom=0)
    if test_accuracy is not None:
        accuracy.axhline(test_accuracy, color=ORANGE, ls="--", label=f"test, at the end: {test_accuracy:.2%}")
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    accuracy.legend(loc="lower right")
    return figure


@figures.style()
def comparison(histories):
    """Draw loss and accuracy of several runs against the epoch: of the held-out images, else of training, dotted.

    Parameters
    ----------
    histories : dict of str to list of dict
        The lines of ``run.jsonl`` by the name of the run.

    Returns
    -------
    matplotlib.figure.Figure
    """
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    figure = figures.blank()
    loss, accuracy = figure.subplots(1, 2)
    for axes, key in ((loss, "loss"), (accuracy, "accuracy")):
        for i, (name, history) in enumerate(histories.items()):
            held_out = bool(history) and f"holdout_{key}" in history[0]
            values = [line[f"{'holdout' if held_out else 'train'}_{key}"] for line in history]
            style = {"color": _COLORS[i % len(_COLORS)], "marker": _MARKERS[i // len(_COLORS) % len(_MARKERS)]}
            label = name if held_out else f"{name} (training)"
            epochs = [line["epoch"] for line in history]
            extra = 5 * (1 - (i + 1) / len(histories))  # the first are the widest, so that later ones do not hide them
            axes.plot(epochs, values, ls="-" if held_out else ":", lw=3 + extra, ms=9 + extra, label=label, **style)
        axes.set_title(key.capitalize())
        axes.set_xlabel("Epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.grid()
    accuracy.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    if histories:
        handles, labels = loss.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(len(histories), 4))
    return figure


@figures.style()
def rates(tried, losses, smoothed, title, chosen=None):
    """Draw the loss against the learning rate of a sweep.

    Parameters
    ----------
    tried, losses, smoothed : list of float
        Learning rates, and the loss of one batch before the step at each, as it was and smoothed.
    title : str
    chosen : float or None
        The rate that is suggested; drawn as a vertical line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = figures.blank()
    axes = figure.subplots()
    axes.semilogx(tried, losses, "o", color=GREY, alpha=0.6, label="one batch")
    axes.semilogx(tried, smoothed, color=BLUE, label="smoothed")
    if chosen is not None:
        axes.axvline(chosen, color=ORANGE, ls="--", label=f"suggested: {chosen:g}")
    if len(smoothed):
        low, high = min(smoothed), max(smoothed)
        room = 0.3 * (high - low) or 1.0
        axes.set_ylim(max(low - room, 0.0), high + room)  # a loss that runs away would flatten the rest
    axes.set_title(title, fontsize=figures.TITLE)
    axes.set_xlabel("Learning rate")
    axes.set_ylabel("Loss")
    axes.grid()
    axes.legend(loc="lower left")
    return figure


@figures.style()
def confusion(labels, predictions, classes):
    """Draw the confusion matrix.

    Parameters
    ----------
    labels, predictions : ndarray of int, shape (N,)
        For -1 there is not an answer: it counts for its row, and in no column.
    classes : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
        Row: the true class; column: the answer; number: percent of the row.
    """
    counts = np.zeros((len(classes), len(classes)))
    answered = predictions >= 0
    np.add.at(counts, (labels[answered], predictions[answered]), 1)
    percent = 100 * counts / np.maximum(np.bincount(labels, minlength=len(classes)), 1)[:, None]
    figure = figures.blank()
    axes = figure.subplots()
    image = axes.imshow(percent, cmap="cividis", vmin=0, vmax=100, aspect="auto")  # even lightness, for all eyes
    for row, column in np.ndindex(percent.shape):
        if counts[row, column]:
            color = "white" if percent[row, column] < 50 else "black"
            whole = f"{percent[row, column]:.0f}"
            rounded_away = whole in ("0", "100") and float(whole) != percent[row, column]  # one image is not none
            text = f"{percent[row, column]:.1f}" if rounded_away else whole
            axes.text(column, row, text, ha="center", va="center", color=color, fontsize=figures.SMALL)
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    axes.set_xlabel("Answer")
    axes.set_ylabel("True class")
    axes.set_title(f"{np.mean(labels == predictions):.2%} of {len(labels):,} images are right", fontsize=figures.TITLE)
    bar = figure.colorbar(image, ax=axes)
    bar.set_label("% of the true class")
    return figure


@figures.style()
def mistakes(images, labels, probabilities, classes):
    """Draw the most confident mistakes of the classifier; if there are none, its least confident answers.

    Parameters
    ----------
    images : ndarray of uint8, shape (N, H, W, 3)
    labels : ndarray of int, shape (N,)
    probabilities : ndarray, shape (N, classes)
        A row of NaN does not answer, and so is a mistake.
    classes : sequence of str

    Returns
    -------
    matplotlib.figure.Figure
        At most 3 rows of 6 images.
    """
    predictions = answers_of(probabilities)
    sureness = probabilities.max(axis=1)
    wrong = np.flatnonzero(predictions != labels)
    if len(wrong):
        chosen = wrong[np.argsort(-sureness[wrong], kind="stable")][:18]
        title = f"The most confident of {len(wrong):,} mistakes among {len(labels):,} images"
    else:
        chosen = np.argsort(sureness, kind="stable")[:18]
        title = f"No mistakes among {len(labels):,} images: the least confident answers"
    figure = figures.blank(title)
    grid = figure.subplots(3, 6, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, chosen, strict=False):
        axes.imshow(images[i], interpolation="nearest", cmap="gray", vmin=0, vmax=255)
        sure = f"{sureness[i]:.0%}" if sureness[i] < 0.995 else "> 99%"  # a rounded 100% claims too much
        answer = "no answer" if predictions[i] < 0 else f"{classes[predictions[i]]} {sure}"
        axes.set_title(f"true {classes[labels[i]]}\n{answer}", fontsize=figures.SMALL)
    return figure
