"""Training: recipes, the loop, checkpoints, the folder of a run, and the classifier that comes out.

recipe = train.recipe("cifar4", epochs=2)
trainer = train.Trainer(recipe, data.CIFAR10(root, train=True), "runs/first")
trainer.fit()
result = trainer.final_eval(data.CIFAR10(root, train=False))
"""

from minitorch_cnn.train.distributed.ranks import MpiProcesses, RanksError, SingleProcess, connect
from minitorch_cnn.train.find_rate import FoundRate, find_rate
from minitorch_cnn.train.machine import environment
from minitorch_cnn.train.metrics.classifier import Classifier, ClassifierError, Evaluation, Prediction
from minitorch_cnn.train.more import more
from minitorch_cnn.train.nan_check import TrainingDivergedError
from minitorch_cnn.train.network import OwnNetworkError
from minitorch_cnn.train.recipes import RECIPES, Recipe, few_images, recipe
from minitorch_cnn.train.report.callbacks import LiveChart, TensorBoard
from minitorch_cnn.train.report.reporter import Reporter
from minitorch_cnn.train.report.run_folder import FolderGoneError, RunFolder, RunFolderError
from minitorch_cnn.train.report.runs import Run, Runs, compare, runs
from minitorch_cnn.train.setup import augmentation
from minitorch_cnn.train.state import CheckpointError, Checkpoints, Progress, TrainingState
from minitorch_cnn.train.trainer import Trainer
from minitorch_cnn.train.transfer import only_head_learns, replace_head, transfer

Alone, Mpi = SingleProcess, MpiProcesses  # their older names

__all__ = [
    "RECIPES",
    "Alone",
    "CheckpointError",
    "Checkpoints",
    "Classifier",
    "ClassifierError",
    "Evaluation",
    "FolderGoneError",
    "FoundRate",
    "LiveChart",
    "Mpi",
    "MpiProcesses",
    "OwnNetworkError",
    "Prediction",
    "Progress",
    "RanksError",
    "Recipe",
    "Reporter",
    "Run",
    "RunFolder",
    "RunFolderError",
    "Runs",
    "SingleProcess",
    "TensorBoard",
    "Trainer",
    "TrainingDivergedError",
    "TrainingState",
    "augmentation",
    "compare",
    "connect",
    "environment",
    "few_images",
    "find_rate",
    "more",
    "only_head_learns",
    "recipe",
    "replace_head",
    "runs",
    "transfer",
]
