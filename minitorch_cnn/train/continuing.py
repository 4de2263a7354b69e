"""What resuming a run and training it further share: its folder, its last state, the same images and network."""

import dataclasses

from minitorch_cnn.train import network, state
from minitorch_cnn.train.report.run_folder import RunFolder


def read(folder, train_set, model, reporter, caller):
    """Return (RunFolder, what its newest whole checkpoint holds, the images as they were used, the network).

    Raises
    ------
    RunFolderError, CheckpointError, ValueError
        As `Trainer.resume`.
    """
    run = RunFolder.open(folder)
    run.refuse_if_locked()
    saved, notes = state.Checkpoints(run.path).load()
    for note in notes:
        if reporter is not None:
            reporter.say(note)
    chosen = saved["settings"]
    state.check_same_data(train_set, chosen, caller)
    train_set = dataclasses.replace(train_set, mean=chosen["mean"], std=chosen["std"])
    if architecture := chosen.get("architecture"):  # checkpoints of older versions have none
        model = network.rebuild(architecture, model, caller)
    return run, saved, train_set, model


def keep_architecture(trainer, saved):
    """Let a trainer record the network as the earlier run did."""
    if architecture := saved["settings"].get("architecture"):
        trainer.settings["architecture"] = architecture
