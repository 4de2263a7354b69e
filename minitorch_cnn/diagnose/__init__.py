"""What this machine can do: speeds, and a self-test of the BLAS library, each measured."""
