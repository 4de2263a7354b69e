"""The gradients of several ranks, added up to those of the whole batch.

They are sent in buckets, while backward still computes the remaining ones.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

BLOCKS = 4  # that a batch is divided into, for any number of ranks; so all of them add in the same order
BUCKET_BYTES = 1 << 20  # of one message: small messages cost latency, large ones start late


class _Bucket:
    """The gradients of some parameters side by side in one array."""

    def __init__(self, parameters):
        self.parameters, self.missing = parameters, set()
        self.array = np.zeros(sum(p.size for p in parameters), parameters[0].dtype)
        ends = np.cumsum([p.size for p in parameters])[:-1]
        parts = np.split(self.array, ends)  # views
        self.views = {id(p): part.reshape(p.shape) for p, part in zip(parameters, parts, strict=True)}

    def empty(self):
        """Wait for all gradients anew."""
        self.missing = set(self.views)

    def put(self, parameter):
        """Copy the gradient of a parameter into the array; a missing one counts as zero."""
        self.views[id(parameter)][...] = 0 if parameter.grad is None else parameter.grad
        self.missing.discard(id(parameter))


class GradientSum:
    """Replaces the gradients of parameters by their sums over all ranks.

    The sum is the mean over the batch, because the loss of each rank is weighted by its share of the batch.

    Parameters
    ----------
    ranks : MpiProcesses
    parameters : list of Parameter
        The same on all ranks, in the order of the model.
    bucket_bytes : int, >= 1
        A bucket is closed once it holds this much.

    Notes
    -----
    Buckets are filled from the last parameter to the first, as backward goes, and sent in this order on
    every rank, as MPI demands. Memory: another array of the size of each parameter.
    Source: Li et al. 2020, "PyTorch Distributed", section 3.2, arXiv 2006.15704.
    """

    def __init__(self, ranks, parameters, bucket_bytes=BUCKET_BYTES):
        self._ranks = ranks
        self._buckets, group = [], []
        for parameter in reversed(parameters):
            if group and (parameter.dtype != group[0].dtype or sum(p.data.nbytes for p in group) >= bucket_bytes):
                self._buckets.append(_Bucket(group))
                group = []
            group.append(parameter)
        self._buckets.append(_Bucket(group))
        self._where = {key: bucket for bucket in self._buckets for key in bucket.views}
        self._begin()

    def _begin(self):
        self._requests = []
        for bucket in self._buckets:
            bucket.empty()

    def ready(self, leaf):
        """Take the final gradient of a leaf of the graph, while backward is still running; see `Variable.backward`."""
        bucket = self._where.get(id(leaf))
        if bucket is None:  # a leaf that is not learned here
            return
        bucket.put(leaf)
        self._send()
        self._ranks.progress(self._requests)

    def _send(self):
        while len(self._requests) < len(self._buckets) and not self._buckets[len(self._requests)].missing:
            self._requests.append(self._ranks.start_sum(self._buckets[len(self._requests)].array))

    def __call__(self, parameters):
        """Finish the sums and put them into ``grad`` of the parameters; call it on all ranks after backward."""
        for bucket in self._buckets:
            for parameter in bucket.parameters:
                if id(parameter) in bucket.missing:
                    bucket.put(parameter)
        self._send()
        for bucket, request in zip(self._buckets, self._requests, strict=True):
            self._ranks.wait(request)
            for parameter in bucket.parameters:
                if parameter.grad is not None:
                    parameter.grad = bucket.views[id(parameter)]
        self._begin()


def no_reduction(parameters):
    """Leave the gradients as they are: this process trains alone."""


def make_reducer(ranks: Any, parameters: list[Any]) -> Callable[[list[Any]], None]:
    """Return what a trainer calls between ``backward()`` and the optimiser's step."""
    return GradientSum(ranks, parameters) if ranks.size > 1 else no_reduction


def blocks_per_rank(ranks, sync_bn):
    """Return how many blocks of samples this rank adds up, so that any number of ranks adds in the same order."""
    return BLOCKS // ranks.size if sync_bn and BLOCKS % ranks.size == 0 else 1
