"""What all models share: labels of a block of stars from a model of any kind."""

from labeltransfer.models.cannon import label
from labeltransfer.models.network import label_network

BLOCK = 2048


def labels_of(flux, ivar, model, starts, threads):
    """Labels of a block of stars from a model of any kind."""
    if model.kind == "network":
        return label_network(flux, ivar, model, starts=starts, threads=threads)
    return label(flux, ivar, model, starts=starts, block=BLOCK, threads=threads)
