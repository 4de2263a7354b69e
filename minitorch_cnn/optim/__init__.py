"""Optimisers, learning-rate schedules and gradient clipping."""

from minitorch_cnn.optim.adam import Adam, AdamW
from minitorch_cnn.optim.average import EMA, Lookahead, WeightAverage
from minitorch_cnn.optim.clip import clip_grad_norm, clip_grad_value
from minitorch_cnn.optim.more_schedules import (
    CosineRestartsLR,
    ExponentialLR,
    LambdaLR,
    PiecewiseLinearLR,
    ReduceLROnPlateau,
)
from minitorch_cnn.optim.muon import Muon
from minitorch_cnn.optim.optimizer import Optimizer
from minitorch_cnn.optim.rmsprop import RMSprop
from minitorch_cnn.optim.schedules import CosineLR, MultiStepLR, OneCycleLR, Schedule, StepLR, WarmupLR
from minitorch_cnn.optim.sgd import SGD

__all__ = [
    "Adam",
    "AdamW",
    "CosineLR",
    "CosineRestartsLR",
    "EMA",
    "ExponentialLR",
    "LambdaLR",
    "Lookahead",
    "MultiStepLR",
    "Muon",
    "OneCycleLR",
    "Optimizer",
    "PiecewiseLinearLR",
    "RMSprop",
    "ReduceLROnPlateau",
    "SGD",
    "Schedule",
    "StepLR",
    "WarmupLR",
    "WeightAverage",
    "clip_grad_norm",
    "clip_grad_value",
]
