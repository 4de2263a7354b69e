"""Python processes that run a piece of code with the kernels and report what they compiled."""

import json
import os
import pathlib
import subprocess
import sys

import minitorch_kernels

SOURCES = pathlib.Path(minitorch_kernels.__file__).parent
BEGIN = """
import hashlib, json, sys, threading, warnings
import numpy as np
import minitorch_kernels as kernels
from minitorch_kernels.runtime import cache, jit
compiled = []
jit.on_compile(lambda name, count: compiled.append(name))
"""
RELU = "results = [kernels.layers.elementwise.relu_forward(np.arange(-2, 3).astype(sys.argv[1])).tolist()]\n"
END = "print(json.dumps({'compiled': compiled, 'results': results}))\n"

STEP = """
x = np.linspace(-1, 1, 2 * 6 * 6 * 3, dtype=np.float32).reshape(2, 6, 6, 3)
weight = np.linspace(-1, 1, 16 * 3 * 3 * 3, dtype=np.float32).reshape(16, 3, 3, 3)
hyper = {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1}
window = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0, 0, 0)}

def step():
    conv, pool, norm = kernels.conv.indirect, kernels.layers.pool, kernels.layers.batch_norm
    out = conv.conv2d_forward_indirect(x, weight, **hyper)
    grad_x = conv.conv2d_backward_input_indirect(out, weight, input_size=(6, 6), **hyper)
    grad_weight = kernels.conv.indirect_weight.conv2d_backward_weight_indirect(x, out, kernel_size=(3, 3), **hyper)
    largest, argmax = pool.max_pool2d_forward(out, **window)
    back = pool.max_pool2d_backward(largest, argmax, input_size=(6, 6), **window)
    mean, var = norm.batch_norm_stats(back)
    normal = norm.batch_norm_apply(back, var, mean)
    grads = norm.batch_norm_backward(normal, back, mean, var, mean)
    parameter, velocity = weight.reshape(-1).copy(), np.zeros(weight.size, np.float32)
    kernels.layers.optimizer.sgd_update(parameter, grad_weight.reshape(-1), velocity, lr=0.1, momentum=0.9,
                                 nesterov=True, weight_decay=0.1, decoupled=False, first_step=True)
    positive = kernels.layers.elementwise.relu_forward(out.reshape(-1))
    arrays = (out, grad_x, grad_weight, argmax, back, mean, var, normal, *grads, parameter, velocity, positive)
    return hashlib.sha256(b"".join(np.ascontiguousarray(a).tobytes() for a in arrays)).hexdigest()
"""


def start(code, *arguments, home=None, path=SOURCES.parent, **environment):
    """Start a Python process that runs ``code``."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(path), *sys.path]), **environment}
    if home is not None:
        environment["MCNN_HOME"] = str(home)
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", BEGIN + code + END, *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process):
    """Return (names of compiled functions, results) of a process."""
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    told = json.loads(out)
    return told["compiled"], told["results"]


def run(*arguments, **keywords):
    return finish(start(*arguments, **keywords))
