"""The figures of Ting et al. 2017, `figure_01` to `figure_03`, and three of our own, one module each.

`draw` makes the figure from tables and arrays; `from_files` reads them from a run's files and calls it.
`archive_kind` is "mock", "public", "local" or "registry"; figures of the mock archive say so. Label names are those of
our tables: `teff` [K], `logg`, `c_h` ... `ni_h` [dex]. A gradient is the change of the normalised flux for
a step of one label. Methods of training are known by short names: `prior`, `no_prior`, `l1`,
`quadratic`; any other name is written as it is.
"""
