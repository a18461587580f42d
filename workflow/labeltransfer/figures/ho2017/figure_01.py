"""Figure 1: labels of the LAMOST pipeline minus those of APOGEE, for the reference stars."""

from labeltransfer.figures.ho2017.common import reference_name, reference_set
from labeltransfer.figures.ho2017.residuals import residual_grid
from labeltransfer.figures.style import use_style


@use_style()
def draw(comparison, archive_kind, **options):
    """Draw figure 1.

    Parameters
    ----------
    comparison : astropy.table.Table
        One row per reference star: `snr` and, for each label, `<label>_apogee` and `<label>_lamost`.
    archive_kind : {'mock', 'public', 'local', 'registry'}
    **options
        `labels`, `reference`, `limits` and `bins` of `residuals.residual_grid`, which says what it raises.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return residual_grid(comparison, "lamost", archive_kind, **options)


def from_files(files, settings):
    """Draw figure 1 of a run from its `comparison`."""
    return draw(reference_set(files), settings["source"], reference=reference_name(settings))
