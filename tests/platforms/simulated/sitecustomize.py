"""Python imports this file in every process when its folder is in PYTHONPATH."""

import os

system = os.environ.get("MCNN_SIMULATED")
if system == "browser":
    import browser

    browser.install()
elif system:
    import refusals

    refusals.install(system)
