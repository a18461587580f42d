"""What several figures of Ho et al. 2017 share: labels, frames, and what a run calls things."""

from labeltransfer.files.tables import read_table

LABELS = ("teff", "logg", "fe_h", "alpha_m", "a_k")
PIPELINE_LABELS = ("teff", "logg", "fe_h")
KIEL = ["teff", "logg"]
_PAPERS = {"ness2015": "Ness et al. 2015", "ho2017": "APOGEE"}  # whose tables of labels are named after them

#: Frames of the published figures: range of each label, and ranges of its Kiel diagrams.
LABEL_RANGES = {
    "teff": (4000.0, 5300.0),
    "logg": (1.1, 3.8),
    "fe_h": (-2.0, 0.5),
    "alpha_m": (-0.08, 0.4),
    "a_k": (-0.1, 0.5),
}
SURVEY_KIEL_RANGES = {"teff": (3500.0, 7500.0), "logg": (0.0, 5.2)}


def reference_set(files):
    """The reference stars that the model was trained on, which is what the paper shows.

    Parameters
    ----------
    files : mapping
        `comparison`: table of the reference stars with the labels of every method.
    """
    table = read_table(files["comparison"])
    return table[table["trained"]]


def reference_name(settings):
    """What the reference survey is called in the figures: APOGEE for apogee-dr12."""
    name = settings["study"]["releases"]["reference"].split("-")[0]
    return _PAPERS.get(name, name.upper())


def survey_name(settings):
    """What the survey is called in the figures: LAMOST for lamost-dr2."""
    return settings["study"]["releases"]["survey"].split("-")[0].upper()


def usable_labels(settings):
    """The labels of the study that are meant to be used."""
    study = settings["study"]
    return [name for name in study["labels"] if name not in study["nuisance"]]
