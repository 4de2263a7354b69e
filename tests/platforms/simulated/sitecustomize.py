"""Python imports this file in every process when its folder is in PYTHONPATH."""

import os

if system := os.environ.get("MCNN_SIMULATED"):
    import refusals

    refusals.install(system)
