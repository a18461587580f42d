"""Label transfer between stellar surveys: the library behind the workflow.

Sub-packages are floors; each imports only from the floors below it:
figures > validation > models > spectra > catalogs > mock > sources > synthesis > surveys > files.
"""

__version__ = "0.1.0"
