"""The surveys that can be read, by name: another one is a module of its own and a line here."""

from labeltransfer.surveys import apogee, lamost, through_specutils

SURVEYS = {survey.name: survey for survey in (lamost.SURVEY, through_specutils.SURVEY)}
REFERENCE_SURVEYS = {survey.name: survey for survey in (apogee.SURVEY,)}


def get_survey(name):
    """The survey of a name or of a release: lamost, or lamost-dr2.

    Raises
    ------
    KeyError
        With the names that there are.
    """
    return _found(SURVEYS, name)


def get_reference(name):
    """The reference survey of a name or of a release: apogee, or apogee-dr12; otherwise as `get_survey`."""
    return _found(REFERENCE_SURVEYS, name)


def _found(surveys, name):
    key = name.partition("-")[0]
    if key not in surveys:
        raise KeyError(f"no survey {name!r}; there are {', '.join(surveys)}")
    return surveys[key]
