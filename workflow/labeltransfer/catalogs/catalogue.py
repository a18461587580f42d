"""Table 1 of Ho et al. 2017: the catalogue of labels, with errors of several kinds, flags and positions."""

import numpy as np
from astropy.table import Table

OUTSIDE, CLIPPED, LOW_SNR, HELD_OUT, UNPHYSICAL = 1, 2, 4, 8, 16
LOWEST_SNR = 10.0
FLAGS = {
    OUTSIDE: "labels lie outside the reference set (novelty above 1)",
    CLIPPED: "clipped from the reference set",
    LOW_SNR: "S/N below 10",
    HELD_OUT: "held out from training",
    UNPHYSICAL: "a label outside its physical range",
}
# Between what stars have their labels, by unit; a label of a study may say otherwise.
RANGES = {"K": (1e3, 1e5), "dex": (-10.0, 10.0), "mag": (-5.0, 100.0), "km/s": (-1e3, 1e3)}
# Columns of a label and what they hold; its own column says how its zero point was found.
_ERRORS = {
    "_err": "formal error",
    "_total": "error calibrated on held-out stars",
    "_bootstrap": "scatter between bootstrap models",
}

WINGS = (
    "degrees of freedom of Student's t distribution of the label over its total error: few mean wide wings"
)


def catalogue_rows(kept, ranges, about_labels="from the survey spectrum"):
    """Rows of the catalogue.

    Parameters
    ----------
    kept : labeltransfer.catalogs.fates.Kept
        Its labels hold, besides what the rule `label` wrote, `<label>_total` (calibrated error), perhaps
        `<label>_wings`, and, for models that
        are compared with theory, `<label>_correlation` and `<label>_flag`.
    ranges : mapping of str to (float, float)
        By label, between what it is physical; see `physical_ranges`.
    about_labels : str, optional
        Description of the columns of labels.

    Returns
    -------
    Table
    """
    labels, stars, names = kept.labels, kept.stars, list(ranges)
    table = Table()
    table["spectrum_id"] = labels["id"]
    for name in ("obsid", "ra", "dec"):
        table[name] = stars[name]
    table["ra"].unit = table["dec"].unit = "deg"
    for suffix, text in {"": about_labels, **_ERRORS}.items():
        for name in names:
            if name + suffix in labels.colnames:
                _add(table, name + suffix, labels[name + suffix], text, labels[name].unit)
    for name in names:
        if f"{name}_wings" in labels.colnames:
            _add(table, f"{name}_wings", labels[f"{name}_wings"], WINGS)
    for name, values, text in (
        ("reduced_chi2", labels["reduced_chi2"], None),
        ("snr", labels["snr"], "median of flux / error over the good pixels"),
        ("snr_g", labels["snr_g"], None),
        ("label_distance", stars["distance"], "Eq. 7, survey pipeline labels to the reference set"),
        (
            "novelty",
            labels["novelty"],
            "distance of the labels here from the reference set; above 1 extrapolates",
        ),
    ):
        _add(table, name, values, text)
    table["reference"], table["trained"] = kept.in_reference, kept.trained
    table["flags"] = quality_flags(kept, ranges)
    table["flags"].description = _meaning(FLAGS)
    for name in names:
        if f"{name}_correlation" in labels.colnames:
            text = "of the model's and theory's gradients for this star"
            _add(table, f"{name}_correlation", labels[f"{name}_correlation"], text)
            table[f"{name}_flag"] = labels[f"{name}_flag"]
    return table


def physical_ranges(labels):
    """Between what each label is physical: (low, high) by name, from the settings of labels (`range`, `unit`)."""
    everything = -np.inf, np.inf
    return {
        name: tuple(about.get("range", RANGES.get(about["unit"], everything)))
        for name, about in labels.items()
    }


def quality_flags(kept, ranges):
    """Bits of `FLAGS` (n,) int32 of stars that the catalogue takes; parameters as for `catalogue_rows`."""
    flags = np.zeros(len(kept.labels), dtype=np.int32)
    flags[~(np.asarray(kept.labels["novelty"], dtype=np.float32) <= 1)] |= OUTSIDE
    flags[kept.clipped] |= CLIPPED
    flags[~(np.asarray(kept.labels["snr"], dtype=np.float32) >= LOWEST_SNR)] |= LOW_SNR
    flags[kept.in_reference & ~kept.trained & ~kept.clipped] |= HELD_OUT
    for name, (low, high) in ranges.items():
        values = np.asarray(kept.labels[name], dtype=float)
        flags[~((values >= low) & (values <= high))] |= UNPHYSICAL
    return flags


def _add(table, name, values, text, unit=None):
    table[name] = np.asarray(values, dtype=float).astype(np.float32)
    if unit is not None:
        table[name].unit = unit
    if text is not None:
        table[name].description = text


def _meaning(flags):
    return "; ".join(f"{bit}: {text}" for bit, text in flags.items())
