"""Training: recipes, the loop, checkpoints, the folder of a run, and the classifier that comes out.

recipe = train.recipe("cifar4", epochs=2)
trainer = train.Trainer(recipe, data.CIFAR10(root, train=True), "runs/first")
trainer.fit()
result = trainer.final_eval(data.CIFAR10(root, train=False))
"""

from minitorch_cnn.train.distributed.ranks import Alone, Mpi, RanksError, connect
from minitorch_cnn.train.machine import environment
from minitorch_cnn.train.metrics.classifier import Classifier, ClassifierError, Evaluation, Prediction
from minitorch_cnn.train.nan_check import TrainingDivergedError
from minitorch_cnn.train.recipes import RECIPES, Recipe, recipe
from minitorch_cnn.train.report.reporter import Reporter
from minitorch_cnn.train.report.run_folder import RunFolder, RunFolderError
from minitorch_cnn.train.state import CheckpointError, Checkpoints, Progress
from minitorch_cnn.train.trainer import Trainer
from minitorch_cnn.train.transfer import replace_head, transfer

__all__ = [
    "Alone",
    "RECIPES",
    "CheckpointError",
    "Checkpoints",
    "Classifier",
    "ClassifierError",
    "Evaluation",
    "Mpi",
    "Prediction",
    "Progress",
    "RanksError",
    "Recipe",
    "Reporter",
    "RunFolder",
    "RunFolderError",
    "Trainer",
    "TrainingDivergedError",
    "connect",
    "environment",
    "recipe",
    "replace_head",
    "transfer",
]
