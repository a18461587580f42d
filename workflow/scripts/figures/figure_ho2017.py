"""Draw one figure of Ho et al. 2017: the rule's name says which."""

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.catalogs.distance import label_separation
from labeltransfer.catalogs.rows import rows_of
from labeltransfer.figures import ho2017
from labeltransfer.figures.style import save
from labeltransfer.files.provenance import figure_provenance
from labeltransfer.files.tables import read_table
from labeltransfer.models.cannon import linear_coefficients
from labeltransfer.models.files import load_model
from labeltransfer.runtime import job
from labeltransfer.spectra.normalise import normalise
from labeltransfer.spectra.prepare import on_grid, settings_from
from labeltransfer.surveys.lamost import read_spectrum

# Figure 4 scales the coefficients by the typical errors of the labels (Holtzman et al. 2015), and A_K by 1 mag.
LABEL_STEPS = {"teff": 91.5, "logg": 0.11, "fe_h": 0.05, "alpha_m": 0.05, "a_k": 1.0}
KIEL = ["teff", "logg"]


def reference_set(inputs):
    """The reference stars that the model was trained on, which is what the paper shows."""
    table = read_table(inputs.comparison)
    return table[table["trained"]]


def reference_name(params):
    """What the reference survey is called in the figures: APOGEE for apogee-dr12."""
    return params.study["releases"]["apogee"].split("-")[0].upper()


def usable_labels(params):
    """The labels of the study that are meant to be used."""
    return [name for name in params.study["labels"] if name not in params.study["nuisance"]]


def figure_01(inputs, params):
    """Pipeline minus reference labels."""
    return ho2017.figure_01(reference_set(inputs), params.source, reference=reference_name(params))


def figure_02(inputs, params):
    """One reference star."""
    apogee = read_table(inputs.apogee)
    stars = read_table(inputs.stars)
    example = apogee.meta["spectrum_id"]
    row = stars[rows_of(stars["spectrum_id"], [example])[0]]
    fetched = vstack([read_table(path) for path in inputs.fetched], metadata_conflicts="silent")
    raw = read_spectrum(str(fetched["path"][rows_of(fetched["spectrum_id"], [example])[0]]))
    settings = settings_from(params.grid, params.preparation, inputs.windows)
    flux, ivar = on_grid(raw, settings)
    normalised, weight, continuum = normalise(flux[None], ivar[None], settings.kernel)
    return ho2017.figure_02(
        np.asarray(apogee["wavelength"]),
        np.asarray(apogee["flux"]),
        raw.wavelength,
        np.where(raw.ivar > 0, raw.flux, np.nan),
        np.interp(
            raw.wavelength, settings.grid * (1 + raw.redshift), continuum[0], left=np.nan, right=np.nan
        ),
        settings.grid,
        np.where(weight[0] > 0, normalised[0], np.nan),
        params.source,
        star=str(row["reference_id"]),
        labels={name: float(row[name]) for name in params.study["labels"]},
    )


def figure_03(inputs, params):
    """The reference set over the survey."""
    return ho2017.figure_03(
        read_table(inputs.survey, KIEL),
        reference_set(inputs),
        params.source,
        reference=reference_name(params),
    )


def figure_04(inputs, params):
    """Linear coefficients and scatter."""
    model = load_model(inputs.model)
    names = model.label_names
    steps = {name: LABEL_STEPS[name] for name in names}
    coefficients = linear_coefficients(model, steps)
    return ho2017.figure_04(
        model.wavelength,
        np.array([coefficients[name] for name in names]),
        model.scatter,
        Table.read(inputs.features, format="ascii.csv"),
        Table.read(inputs.dibs, format="ascii.csv"),
        params.source,
        labels=names,
        steps=[steps[name] for name in names],
    )


def figure_05(inputs, params):
    """One to one."""
    return ho2017.figure_05(
        reference_set(inputs),
        params.source,
        reference=reference_name(params),
        labels=list(params.study["labels"]),
        snr_cut=params.study["validation"]["min_snr"],
    )


def figure_06(inputs, params):
    """Model minus reference labels."""
    labels = [name for name in usable_labels(params) if name in ("teff", "logg", "fe_h")]
    return ho2017.figure_06(
        reference_set(inputs), params.source, labels=labels, reference=reference_name(params)
    )


def figure_07(inputs, params):
    """Scatter against S/N."""
    names = usable_labels(params)
    pipeline = [name for name in names if name in params.study["pipeline"]]
    return ho2017.figure_07(
        reference_set(inputs), params.source, labels=names, pipeline_labels=pipeline, seed=params.seed
    )


def figure_08(inputs, params):
    """Three Kiel diagrams."""
    return ho2017.figure_08(reference_set(inputs), params.source, reference=reference_name(params))


def figure_09(inputs, params):
    """Labels here against the pipeline's, over the distance from the reference set."""
    sample = read_table(inputs.sample)
    settings, pipeline = params.study["distance"], params.study["pipeline"]
    names = list(settings["scale"])
    ids = read_table(inputs.survey, ["spectrum_id"], text=bytes)["spectrum_id"]
    columns = list(dict.fromkeys(pipeline[name] for name in names))
    survey = read_table(inputs.survey, columns, rows_of(ids, sample["id"]))
    separation = label_separation(
        np.column_stack([sample[name] for name in names]),
        np.column_stack([np.asarray(survey[pipeline[name]], dtype=float) for name in names]),
        scale=[settings["scale"][name] for name in names],
        form=settings["form"],
    )
    return ho2017.figure_09(
        np.asarray(sample["distance"]), separation, params.source, cut=settings["cut"], seed=params.seed
    )


def figure_10(inputs, params):
    """Label distance over the Kiel diagram."""
    return ho2017.figure_10(
        read_table(inputs.survey, KIEL),
        np.asarray(read_table(inputs.distance)["distance"]),
        params.source,
        cut=params.study["distance"]["cut"],
        seed=params.seed,
    )


def figure_11(inputs, params):
    """The ([Fe/H], [alpha/M]) plane."""
    catalog = read_table(inputs.catalog, ["fe_h", "alpha_m"])
    return ho2017.figure_11(np.asarray(catalog["fe_h"]), np.asarray(catalog["alpha_m"]), params.source)


def figure_12(inputs, params):
    """[alpha/M] on the sky."""
    columns = ["ra", "dec", "alpha_m"]
    return ho2017.figure_12(
        read_table(inputs.reference, columns), read_table(inputs.catalog, columns), params.source
    )


def main(snakemake):
    """Draw the figure that the rule is named after."""
    figure = globals()[snakemake.rule](snakemake.input, snakemake.params)
    made_from = figure_provenance(dict(snakemake.params.items()), snakemake.input)
    save(figure, snakemake.output.pdf, snakemake.output.png, made_from)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
