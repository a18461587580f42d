"""Reference points, their steps, and the names of the spectra in between."""

from typing import NamedTuple

#: The labels of the atmosphere: name in the table of spectra -> name in the configuration.
ATMOSPHERE_LABELS = {"Teff": "teff", "logg": "logg", "vmic": "vmic", "M_H": "m_h"}
SIGNS = {"plus": 1.0, "minus": -1.0}
REFERENCE = "reference"  # the label of a spectrum without a step


class Labels(NamedTuple):
    """A point in label space: `teff` [K], `logg` [dex], `m_h` [dex], `vmic` [km/s]."""

    teff: float
    logg: float
    m_h: float
    vmic: float


class Step(NamedTuple):
    """One spectrum of a reference point.

    `label` is ``reference``, ``Teff``, ``logg``, ``vmic``, ``M_H`` or ``X_H`` for an element X; `size` is
    signed and in the label's unit; `labels` are the labels of the stepped star; `offsets` its [X/M] [dex]
    by element.
    """

    label: str
    size: float
    labels: Labels
    offsets: dict[str, float]


def step_labels(elements):
    """The labels that are stepped: those of the atmosphere, and ``X_H`` of each element X."""
    return (*ATMOSPHERE_LABELS, *(f"{element}_H" for element in elements))


def step_names(elements):
    """Names of all spectra of one reference point, in the table's order: ``reference``, ``Teff_plus``, ..."""
    return [REFERENCE, *(f"{label}_{sign}" for label in step_labels(elements) for sign in SIGNS)]


def take_step(name, reference, sizes):
    """The star that a named spectrum belongs to.

    Parameters
    ----------
    name : str
        One of `step_names`.
    reference : dict
        ``teff``, ``logg``, ``m_h``, ``vmic`` of the reference point.
    sizes : dict
        Step sizes: ``teff`` [K], ``logg`` [dex], ``vmic`` [km/s], ``m_h`` and ``x_h`` [dex].

    Returns
    -------
    step : Step

    Raises
    ------
    ValueError
        If the name is none of a step.
    """
    start = Labels(**{key: float(value) for key, value in reference.items()})
    if name == REFERENCE:
        return Step(REFERENCE, 0.0, start, {})
    label, _, sign = name.rpartition("_")
    if sign not in SIGNS or not (label in ATMOSPHERE_LABELS or label.endswith("_H")):
        raise ValueError(f"no step is called {name!r}: expected 'reference' or a label with _plus or _minus")
    if label in ATMOSPHERE_LABELS:
        key = ATMOSPHERE_LABELS[label]
        size = SIGNS[sign] * sizes[key]
        return Step(label, size, start._replace(**{key: getattr(start, key) + size}), {})
    size = SIGNS[sign] * sizes["x_h"]
    return Step(label, size, start, {label.removesuffix("_H"): size})
