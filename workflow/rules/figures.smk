# A figure is a rule, each with its inputs by name, all drawn by one short script. First those of Ho et al. 2017.


rule figure_01:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        **drawn("ho2017/figure_01", "01", "pipeline against reference labels"),
    log:
        "logs/{study}/figure_01.log",
    benchmark:
        "logs/{study}/figure_01.tsv"
    wildcard_constraints:
        study=CANNON,
    priority: BY_STUDY
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        paper="ho2017",
        source=SOURCE,
        data=data_of_study,
        study=lambda w: config["studies"][w.study],
        seed=config["seed"],
        grid=lambda w: GRID[w.study],
        preparation=lambda w: PREPARATION[w.study],
        code=code_of("catalogs", "spectra", "models", "figures"),
    message:
        "{wildcards.study}: {rule}"
    script:
        "../scripts/figures/figure.py"


use rule figure_01 as figure_02 with:
    input:
        stars=REFERENCE_SET,
        fetched=gather.reference("results/{{study}}/archive/reference/{scatteritem}.fits"),
        apogee="results/{study}/archive/example_apogee.fits",
        windows=windows_of,
        fibres=fibres_of,
        noise=noise_of,
    output:
        **drawn("ho2017/figure_02", "02", "from spectrum to model input"),
    log:
        "logs/{study}/figure_02.log",
    benchmark:
        "logs/{study}/figure_02.tsv"


use rule figure_01 as figure_03 with:
    input:
        survey="results/{study}/catalogs/survey.fits",
        comparison="results/{study}/validation/comparison.fits",
    output:
        **drawn("ho2017/figure_03", "03", "reference set within the survey"),
    log:
        "logs/{study}/figure_03.log",
    benchmark:
        "logs/{study}/figure_03.tsv"


use rule figure_01 as figure_04 with:
    input:
        model="results/{study}/models/cannon.h5",
        features=fact("resources/lines/spectral_features.csv"),
        dibs=fact("resources/lines/dibs.csv"),
    output:
        **drawn("ho2017/figure_04", "04", "coefficients of the model"),
    log:
        "logs/{study}/figure_04.log",
    benchmark:
        "logs/{study}/figure_04.tsv"


use rule figure_01 as figure_05 with:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        **drawn("ho2017/figure_05", "05", "does the transfer work"),
    log:
        "logs/{study}/figure_05.log",
    benchmark:
        "logs/{study}/figure_05.tsv"


use rule figure_01 as figure_06 with:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        **drawn("ho2017/figure_06", "06", "residuals after the transfer"),
    log:
        "logs/{study}/figure_06.log",
    benchmark:
        "logs/{study}/figure_06.tsv"


use rule figure_01 as figure_07 with:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        **drawn("ho2017/figure_07", "07", "scatter against S/N"),
    log:
        "logs/{study}/figure_07.log",
    benchmark:
        "logs/{study}/figure_07.tsv"


use rule figure_01 as figure_08 with:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        **drawn("ho2017/figure_08", "08", "Kiel diagrams"),
    log:
        "logs/{study}/figure_08.log",
    benchmark:
        "logs/{study}/figure_08.tsv"


use rule figure_01 as figure_09 with:
    input:
        survey="results/{study}/catalogs/survey.fits",
        sample="results/{study}/labels/distance_sample.fits",
    output:
        **drawn("ho2017/figure_09", "09", "label distance"),
    log:
        "logs/{study}/figure_09.log",
    benchmark:
        "logs/{study}/figure_09.tsv"


use rule figure_01 as figure_10 with:
    input:
        survey="results/{study}/catalogs/survey.fits",
        distance="results/{study}/catalogs/distance.fits",
    output:
        **drawn("ho2017/figure_10", "10", "the cut in the Kiel diagram"),
    log:
        "logs/{study}/figure_10.log",
    benchmark:
        "logs/{study}/figure_10.tsv"


use rule figure_01 as figure_11 with:
    input:
        catalog="results/{study}/catalog.fits",
    output:
        **drawn("ho2017/figure_11", "11", "two sequences in [alpha/M]"),
    log:
        "logs/{study}/figure_11.log",
    benchmark:
        "logs/{study}/figure_11.tsv"


use rule figure_01 as figure_12 with:
    input:
        catalog="results/{study}/catalog.fits",
        reference="results/{study}/catalogs/reference.fits",
    output:
        **drawn("ho2017/figure_12", "12", "the alpha-enhanced sky"),
    log:
        "logs/{study}/figure_12.log",
    benchmark:
        "logs/{study}/figure_12.tsv"


# Those of Ting et al. 2017, and three of our own.


rule network_figure_01:
    input:
        stores=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.h5"),
        comparison="results/{study}/validation/comparison.fits",
        model="results/{study}/models/prior.h5",
    output:
        **drawn("ting2017/figure_01", "01", "a spectrum and its model"),
    log:
        "logs/{study}/network_figure_01.log",
    benchmark:
        "logs/{study}/network_figure_01.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        paper="ting2017",
        source=SOURCE,
        data=data_of_study,
        study=lambda w: config["studies"][w.study],
        code=code_of("spectra", "models", "figures"),
    message:
        "{wildcards.study}: {rule}"
    script:
        "../scripts/figures/figure.py"


use rule network_figure_01 as network_figure_02 with:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        **drawn("ting2017/figure_02", "02", "one to one"),
    log:
        "logs/{study}/network_figure_02.log",
    benchmark:
        "logs/{study}/network_figure_02.tsv"


use rule network_figure_01 as network_figure_03 with:
    input:
        gradients="results/{study}/validation/gradients.fits",
        correlation="results/{study}/gradient_correlation.csv",
    output:
        **drawn("ting2017/figure_03", "03", "which features carry a label"),
    log:
        "logs/{study}/network_figure_03.log",
    benchmark:
        "logs/{study}/network_figure_03.tsv"


use rule network_figure_01 as d_scale_figure with:
    input:
        table="results/{study}/d_scale_scan.csv",
    output:
        **drawn("ting2017/d_scale", "D_scale", "cost and gain of the prior"),
    log:
        "logs/{study}/d_scale_figure.log",
    benchmark:
        "logs/{study}/d_scale_figure.tsv"


use rule network_figure_01 as cramer_rao_figure with:
    input:
        table="results/{study}/cramer_rao.csv",
    output:
        **drawn("ting2017/cramer_rao", "Cramer-Rao", "bounds and scatter"),
    log:
        "logs/{study}/cramer_rao_figure.log",
    benchmark:
        "logs/{study}/cramer_rao_figure.tsv"


use rule network_figure_01 as shift_test_figure with:
    input:
        table="results/{study}/shift_test.csv",
    output:
        **drawn("ting2017/shift_test", "shift test", "measured or inferred"),
    log:
        "logs/{study}/shift_test_figure.log",
    benchmark:
        "logs/{study}/shift_test_figure.tsv"


# What was tried to see whether the labels are right.


use rule figure_01 as choices_figure with:
    input:
        table="results/{study}/validation/choices.csv",
    output:
        **drawn("checks/choices", "choices", "what each choice does to labels"),
    log:
        "logs/{study}/choices_figure.log",
    benchmark:
        "logs/{study}/choices_figure.tsv"
    wildcard_constraints:
        study="|".join(config["studies"]),
    params:
        paper="checks",
        source=SOURCE,
        data=data_of_study,
        code=code_of("validation", "figures"),


use rule choices_figure as line_width_figure with:
    input:
        table="results/{study}/validation/line_width.csv",
    output:
        **drawn("checks/line_width", "line width", "what the line width does to labels"),
    log:
        "logs/{study}/line_width_figure.log",
    benchmark:
        "logs/{study}/line_width_figure.tsv"
    wildcard_constraints:
        study=CANNON,


# The final files of every study. Targets name them all, and not the manifest alone, so that one that was lost is made anew.
FIGURES = {
    name: expand(
        "results/{study}/figures/{figure}.{kind}",
        study=name,
        figure=[
            *(f"figure_{number:02d}" for number in study["figures"]),
            *(NETWORK_FIGURES if study["model"]["kind"] == "network" else []),
            "choices",
            *(["line_width"] if "line_width" in study else []),
        ],
        kind=["pdf", "png"],
    )
    for name, study in config["studies"].items()
}
TABLES = {
    name: expand(
        "results/{study}/{table}",
        study=name,
        table=[
            "catalog.fits",
            "catalog.parquet",
            "ledger.parquet",
            "fates.csv",
            "validation/cross_validation.csv",
            "validation/errors.csv",
            "validation/repeats.csv",
            "validation/choices.csv",
            *(["published_vs_here.csv"] if study["paper"] else []),
            *(["validation/recovery_mock.csv"] if SOURCE == "mock" else []),
            *(NETWORK_TABLES if study["model"]["kind"] == "network" else ["validation/orders.csv"]),
            *(["validation/clusters.csv"] if study["validation"].get("groups") else []),
            *(["validation/line_width.csv"] if "line_width" in study else []),
            *(["extra_labels.csv"] if "extra_labels" in study else []),
        ],
    )
    for name, study in config["studies"].items()
}
FINAL = {
    name: [
        *(f"results/{name}/{record}" for record in ("complete.json", "provenance.json", "tables.html")),
        *FIGURES[name],
        *TABLES[name],
    ]
    for name in config["studies"]
}


rule complete:
    input:
        figures=lambda w: FIGURES[w.study],
        tables=lambda w: TABLES[w.study],
    output:
        manifest="results/{study}/complete.json",
    log:
        "logs/{study}/complete.log",
    benchmark:
        "logs/{study}/complete.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        source=SOURCE,
        study=lambda w: config["studies"][w.study],
    message:
        "{wildcards.study}: complete, with its figures in results/{wildcards.study}/figures"
    script:
        "../scripts/figures/complete.py"
