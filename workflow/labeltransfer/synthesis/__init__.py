"""Theoretical spectra with every label stepped: line data, atmospheres, PySME, and the table they end in.

A floor of its own beside the others. Only `sme` needs PySME, which has an environment of its own; importing
that module makes PySME create its configuration folder `.sme` in the home folder.
"""
