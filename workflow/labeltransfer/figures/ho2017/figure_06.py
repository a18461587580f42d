"""Figure 6: labels of The Cannon minus those of APOGEE, for the reference stars."""

from labeltransfer.figures.ho2017.common import (
    PIPELINE_LABELS,
    reference_name,
    reference_set,
    usable_labels,
)
from labeltransfer.figures.ho2017.residuals import residual_grid
from labeltransfer.figures.style import use_style


@use_style()
def draw(comparison, archive_kind, **options):
    """Draw figure 6.

    Takes `<label>_cannon` where figure 1 takes `<label>_lamost`; everything else is the same, the paper's
    frames included, so that the two figures compare at sight.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per reference star: `snr` and, for each label, `<label>_apogee` and `<label>_cannon`.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    **options
        `labels`, `reference`, `limits` and `bins` of `residuals.residual_grid`, which says what it raises.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return residual_grid(comparison, "cannon", archive_kind, **options)


def from_files(files, settings):
    """Draw figure 6 of a run from its `comparison`."""
    labels = [name for name in usable_labels(settings) if name in PIPELINE_LABELS]
    return draw(reference_set(files), settings["source"], labels=labels, reference=reference_name(settings))
