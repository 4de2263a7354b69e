"""Several processes that train one model: their calls of MPI, their gradients, what must be equal."""
