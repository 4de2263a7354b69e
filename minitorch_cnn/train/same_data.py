"""Whether a dataset is the one that a run has learned from."""

from minitorch_cnn.data.dataset import contents_digest


def data_digests(dataset):
    """Return what identifies a dataset, as a dict of two digests.

    Returns
    -------
    dict
        "dataset_digest": its own, where it has one, which may leave the order of the images open;
        "data_sha256": of shape, classes, images and labels, in their order.
    """
    return {"dataset_digest": dataset.digest, "data_sha256": contents_digest(dataset)}


def check_same_data(train_set, chosen, caller):
    """Raise ValueError unless a dataset is the one that the settings of a run describe; ``caller`` is named then."""
    classes, expected = [str(name) for name in train_set.classes], chosen["classes"]
    if classes != expected:
        raise ValueError(f"{caller}: train_set - expected the classes {expected} in this order, got {classes}")
    for key, got in data_digests(train_set).items():
        if chosen.get(key) and chosen[key] != got:  # older versions did not record all of them
            expected = f"{chosen['dataset']} of digest {chosen[key]}"
            got = f"{train_set.name} of {got}: images were added, removed or changed since"
            raise ValueError(f"{caller}: train_set - expected {expected}, got {got}")
