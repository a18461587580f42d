"""The figures of Ho et al. 2017, one module each: figure 7 is `figure_07`.

`draw` makes the figure from tables and arrays; `from_files` reads them from a run's files and calls it.
`archive_kind` is "mock", "public", "local" or "registry"; figures of the mock archive say so. Frames are those of the
paper where most stars fall into them, else they follow the stars, so that the same functions draw other samples.
Stars are counted in cells, so a figure has as many artists for 20 stars as for 444,228. Label names are
those of our tables: `teff` [K], `logg`, `fe_h`, `alpha_m` [dex], `a_k` [mag].
"""
