"""Where a training is: together with weights, optimiser and random state all that a resume needs."""

import dataclasses
import time

import numpy as np

FINGERPRINT_STEP = 20


@dataclasses.dataclass
class Progress:
    """Counters and running sums; every field is a number, a string, or a list of dicts of those.

    Attributes
    ----------
    epoch, batch : int
        Finished epochs, and finished batches of the running one.
    step : int
        Finished steps of the optimiser.
    loss_sum, correct, images : float, int, int
        Sum of the losses, right answers and number of images of the running epoch so far.
    epoch_seconds, seconds : float
        Time spent on the running epoch and on all, compilation and checkpoints included.
    fingerprint : str
        The loss of step 20 as eight hexadecimal digits, the bits of a float32; of the last step
        before that, if there are fewer. Two runs that agree in it have computed the same so far.
    test_reads : int
        How often the test set was looked at.
    history : list of dict
        A record for each finished epoch.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    correct: int = 0
    images: int = 0
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    fingerprint: str = ""
    test_reads: int = 0
    history: list = dataclasses.field(default_factory=list)

    def start_clock(self):
        """Begin to measure; time before this call is not counted."""
        self._last = time.perf_counter()

    def _tick(self):
        now = time.perf_counter()
        self.epoch_seconds += now - self._last
        self.seconds += now - self._last
        self._last = now

    def count(self, loss_sum, correct, images):
        """Count one step.

        Parameters
        ----------
        loss_sum : float
            Sum of the losses of its images.
        correct, images : int
            Right answers, and number of images.
        """
        self.batch += 1
        self.step += 1
        self.loss_sum += loss_sum
        self.correct += correct
        self.images += images
        if self.step <= FINGERPRINT_STEP:
            self.fingerprint = np.array(loss_sum / images, ">f4").tobytes().hex()
        self._tick()

    def end_epoch(self, rate, judged=None):
        """Close the running epoch and start the next.

        Parameters
        ----------
        rate : float
            Learning rate of its last step.
        judged : Evaluation or None
            On the held-out images, if there are any.

        Returns
        -------
        dict
            Its record, a line of ``run.jsonl``.
        """
        self._tick()
        record = {
            "epoch": self.epoch + 1,
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "epoch_seconds": round(self.epoch_seconds, 3),
            "lr": rate,
            "train_loss": self.loss_sum / self.images,
            "train_accuracy": self.correct / self.images,
            "images_per_second": round(self.images / self.epoch_seconds, 1),
        }
        if judged is not None:
            record |= {"holdout_loss": judged.loss, "holdout_accuracy": judged.accuracy}
        self.history.append(record)
        self.epoch, self.batch = self.epoch + 1, 0
        self.loss_sum, self.correct, self.images, self.epoch_seconds = 0.0, 0, 0, 0.0
        return record
