"""The surveys that can be read, by name.

A survey of one's own needs no line here: the name of its releases begins with that of a module ``labeltransfer_<name>``
that can be imported, or of an entry point of an installed package in the group ``labeltransfer.surveys`` (of a
reference survey ``labeltransfer.reference_surveys``), which leads to the `Survey` or `ReferenceSurvey`. In such a
module they are called SURVEY and REFERENCE_SURVEY.
"""

import hashlib
import importlib
import importlib.util
from functools import partial
from importlib.metadata import entry_points
from pathlib import Path

from labeltransfer.surveys import apogee, apogee_spectra, lamost, libraries, ness2015, through_specutils
from labeltransfer.surveys.base import ReferenceSurvey, Survey
from labeltransfer.surveys.label_tables import read_label_table

_OWN = "labeltransfer_"
_ENTRY_POINTS = {"SURVEY": "labeltransfer.surveys", "REFERENCE_SURVEY": "labeltransfer.reference_surveys"}
SURVEYS = {
    survey.name: survey
    for survey in (
        lamost.SURVEY,
        Survey("apogee", {}, apogee_spectra.read_spectrum),
        libraries.MILES,
        libraries.STELIB,
        through_specutils.SURVEY,
    )
}
REFERENCE_SURVEYS = {
    survey.name: survey
    for survey in (
        apogee.SURVEY,
        libraries.MILES_LABELS,
        ness2015.SURVEY,
        ReferenceSurvey("ho2017", partial(read_label_table, id_column="LAMOST_ID")),
    )
}


def get_survey(name):
    """The survey of a name or of a release: lamost, or lamost-dr2.

    Raises
    ------
    KeyError
        With the names that there are.
    """
    return _found("SURVEY", SURVEYS, name)


def get_reference(name):
    """The reference survey of a name or of a release: apogee, or apogee-dr12; otherwise as `get_survey`."""
    return _found("REFERENCE_SURVEY", REFERENCE_SURVEYS, name)


def mark_of(name):
    """A text that is another one when the module of a survey of one's own is; empty for those that come with this."""
    key = name.partition("-")[0]
    if key in SURVEYS or key in REFERENCE_SURVEYS:
        return ""
    spec = importlib.util.find_spec(f"{_OWN}{key}")
    known = spec is not None and spec.origin and Path(spec.origin).is_file()
    return hashlib.sha256(Path(spec.origin).read_bytes()).hexdigest()[:12] if known else ""


def _found(kind, surveys, name):
    key = name.partition("-")[0]
    if key in surveys:
        return surveys[key]
    for entry in entry_points(group=_ENTRY_POINTS[kind], name=key):
        return entry.load()
    if importlib.util.find_spec(f"{_OWN}{key}"):
        module = importlib.import_module(f"{_OWN}{key}")
        if hasattr(module, kind):
            return getattr(module, kind)
        raise KeyError(f"{module.__file__} has no {kind}")
    raise KeyError(
        f"no survey {name!r}; there are {', '.join(surveys)}, and modules {_OWN}<name> of one's own"
    )
