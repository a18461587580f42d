"""Label the same reference stars by the papers' choices, by each of the best alone, and by all of them."""

import numpy as np
from astropy.table import Table, vstack

from labeltransfer.catalogs.rows import label_columns, rows_of, used_errors
from labeltransfer.catalogs.splits import TEST, k_folds
from labeltransfer.files.csvfile import write_csv
from labeltransfer.files.places import located, prefix_of
from labeltransfer.files.tables import read_table
from labeltransfer.models.cannon import options_of
from labeltransfer.models.starts import read_starts, spread_starts
from labeltransfer.runtime import job
from labeltransfer.spectra.normalise import typical_noise
from labeltransfer.spectra.prepare import band_snr, gridded, kernel_from, settings_from
from labeltransfer.validation.choices import Sample, all_choices, choices_table, label_by_choice
from labeltransfer.validation.summaries import truth_columns


def main(snakemake):
    """Write the table of what each choice costs."""
    inputs, params, names = snakemake.input, snakemake.params, tuple(snakemake.params.labels)
    clip, stars = read_table(inputs.clip), read_table(inputs.stars)
    if len(clip) > params.most:
        clip = clip[np.sort(np.random.default_rng(params.seed).permutation(len(clip))[: params.most])]
    stars = stars[rows_of(stars["spectrum_id"], clip["id"])]
    fetched = vstack([read_table(path) for path in inputs.fetched], metadata_conflicts="silent")
    fetched = fetched[rows_of(fetched["spectrum_id"], clip["id"])]
    paths = [str(located(name, prefix_of(inputs.fetched[0]))) for name in fetched["path"]]

    labels = label_columns(stars, names)
    errors = used_errors(stars, names, {"errors_in_labels": "stated"}, clip)
    starts = read_starts(inputs.starts, names, labels) if inputs.starts else spread_starts(labels)
    fold = k_folds(stars["star"], params.validation["folds"], params.seed)
    trained = np.asarray(clip["trained"])
    if "reason" in clip.colnames:  # of networks: by any S/N will do
        trained = trained | (np.asarray(clip["reason"]) == TEST)
    sample = Sample(names, labels, errors, trained, fold, starts, np.full(len(clip), np.nan))
    published = params.preparation["normalisation"]["fit"] == "published"
    choices, found = all_choices(bool(errors.any()), params.resolution, published), {}
    phase, redshift = np.full((2, len(clip)), np.nan)
    plain = {**params.preparation["normalisation"], "errors": "none"}
    for name, choice in choices.items():
        if name in found:
            continue
        preparation = {**params.preparation, "normalisation": plain}
        preparation |= {key: choice[key] for key in ("interpolation", "resolution")}
        settings = settings_from(params.grid, preparation, inputs.windows, inputs.fibres)
        raw = gridded(paths, settings, params.survey)
        if not found:  # the papers' choice is the first: all are judged by its S/N
            phase[raw.kept], redshift[raw.kept] = raw.phase, raw.redshift
            sample.snr[raw.kept] = band_snr(raw.flux, raw.ivar, settings)
        for other, same in choices.items():
            if all(same[key] == choice[key] for key in ("interpolation", "resolution")):
                noise = typical_noise(raw.ivar) if same["errors"] == "typical" else None
                normalisation = {**plain, "errors": same["errors"], "fit": same["fit"]}
                kernel = kernel_from(settings.grid, normalisation, noise)
                how = options_of(params.model, names), params.seed, snakemake.threads
                found[other] = label_by_choice(raw, kernel, same, sample, *how)
                print(
                    f"{other}: {len(raw.kept)} of {len(clip)} stars, {found[other].milliseconds:.2f} CPU-ms each"
                )

    judged = Table({"snr": sample.snr, "redshift": redshift, "phase": phase, "trained": trained})
    reference, reference_errors, by = labels, errors, "held-out reference labels"
    if inputs.truth:
        truth = read_table(inputs.truth)
        truth = truth[rows_of(truth["spectrum_id"], clip["id"])]
        reference = label_columns(truth, truth_columns(params.labels).values())
        reference_errors, by = np.zeros_like(errors), "truth of the mock"
    found = {name: found[name] for name in choices}
    table = choices_table(found, names, reference, reference_errors, judged)
    table = table.assign(order=params.model["order"], against=by)
    print(table.to_string())
    write_csv(table, snakemake.output.table)


if "snakemake" in globals():
    with job(snakemake.log[0], snakemake.threads):
        main(snakemake)
