# The figures of Ho et al. 2017: a figure is a rule, each with its inputs by name, all drawn by one short script.


rule figure_01:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        pdf="results/{study}/figures/figure_01.pdf",
        png=report(
            "results/{study}/figures/figure_01.png",
            caption="../report/ho2017/figure_01.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "01", "shows": "pipeline against reference labels"},
        ),
    log:
        "logs/{study}/figure_01.log",
    benchmark:
        "logs/{study}/figure_01.tsv"
    wildcard_constraints:
        study=CANNON,
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        paper="ho2017",
        source=SOURCE,
        study=lambda w: config["studies"][w.study],
        seed=config["seed"],
        grid=config["grid"],
        preparation=config["preparation"],
        code=code_of("catalogs", "spectra", "models", "figures"),
    message:
        "{wildcards.study}: {rule}"
    script:
        "../scripts/figures/figure.py"


use rule figure_01 as figure_02 with:
    input:
        stars="results/{study}/catalogs/reference_set.fits",
        fetched=gather.reference("results/{{study}}/archive/reference/{scatteritem}.fits"),
        apogee="results/{study}/archive/example_apogee.fits",
        windows=config["preparation"]["windows"],
    output:
        pdf="results/{study}/figures/figure_02.pdf",
        png=report(
            "results/{study}/figures/figure_02.png",
            caption="../report/ho2017/figure_02.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "02", "shows": "from spectrum to model input"},
        ),
    log:
        "logs/{study}/figure_02.log",
    benchmark:
        "logs/{study}/figure_02.tsv"


use rule figure_01 as figure_03 with:
    input:
        survey="results/{study}/catalogs/survey.fits",
        comparison="results/{study}/validation/comparison.fits",
    output:
        pdf="results/{study}/figures/figure_03.pdf",
        png=report(
            "results/{study}/figures/figure_03.png",
            caption="../report/ho2017/figure_03.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "03", "shows": "reference set within the survey"},
        ),
    log:
        "logs/{study}/figure_03.log",
    benchmark:
        "logs/{study}/figure_03.tsv"


use rule figure_01 as figure_04 with:
    input:
        model="results/{study}/models/cannon.h5",
        features="resources/lines/spectral_features.csv",
        dibs="resources/lines/dibs.csv",
    output:
        pdf="results/{study}/figures/figure_04.pdf",
        png=report(
            "results/{study}/figures/figure_04.png",
            caption="../report/ho2017/figure_04.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "04", "shows": "coefficients of the model"},
        ),
    log:
        "logs/{study}/figure_04.log",
    benchmark:
        "logs/{study}/figure_04.tsv"


use rule figure_01 as figure_05 with:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        pdf="results/{study}/figures/figure_05.pdf",
        png=report(
            "results/{study}/figures/figure_05.png",
            caption="../report/ho2017/figure_05.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "05", "shows": "does the transfer work"},
        ),
    log:
        "logs/{study}/figure_05.log",
    benchmark:
        "logs/{study}/figure_05.tsv"


use rule figure_01 as figure_06 with:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        pdf="results/{study}/figures/figure_06.pdf",
        png=report(
            "results/{study}/figures/figure_06.png",
            caption="../report/ho2017/figure_06.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "06", "shows": "residuals after the transfer"},
        ),
    log:
        "logs/{study}/figure_06.log",
    benchmark:
        "logs/{study}/figure_06.tsv"


use rule figure_01 as figure_07 with:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        pdf="results/{study}/figures/figure_07.pdf",
        png=report(
            "results/{study}/figures/figure_07.png",
            caption="../report/ho2017/figure_07.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "07", "shows": "scatter against S/N"},
        ),
    log:
        "logs/{study}/figure_07.log",
    benchmark:
        "logs/{study}/figure_07.tsv"


use rule figure_01 as figure_08 with:
    input:
        comparison="results/{study}/validation/comparison.fits",
    output:
        pdf="results/{study}/figures/figure_08.pdf",
        png=report(
            "results/{study}/figures/figure_08.png",
            caption="../report/ho2017/figure_08.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "08", "shows": "Kiel diagrams"},
        ),
    log:
        "logs/{study}/figure_08.log",
    benchmark:
        "logs/{study}/figure_08.tsv"


use rule figure_01 as figure_09 with:
    input:
        survey="results/{study}/catalogs/survey.fits",
        sample="results/{study}/labels/distance_sample.fits",
    output:
        pdf="results/{study}/figures/figure_09.pdf",
        png=report(
            "results/{study}/figures/figure_09.png",
            caption="../report/ho2017/figure_09.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "09", "shows": "label distance"},
        ),
    log:
        "logs/{study}/figure_09.log",
    benchmark:
        "logs/{study}/figure_09.tsv"


use rule figure_01 as figure_10 with:
    input:
        survey="results/{study}/catalogs/survey.fits",
        distance="results/{study}/catalogs/distance.fits",
    output:
        pdf="results/{study}/figures/figure_10.pdf",
        png=report(
            "results/{study}/figures/figure_10.png",
            caption="../report/ho2017/figure_10.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "10", "shows": "the cut in the Kiel diagram"},
        ),
    log:
        "logs/{study}/figure_10.log",
    benchmark:
        "logs/{study}/figure_10.tsv"


use rule figure_01 as figure_11 with:
    input:
        catalog="results/{study}/catalog.fits",
    output:
        pdf="results/{study}/figures/figure_11.pdf",
        png=report(
            "results/{study}/figures/figure_11.png",
            caption="../report/ho2017/figure_11.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "11", "shows": "two sequences in [alpha/M]"},
        ),
    log:
        "logs/{study}/figure_11.log",
    benchmark:
        "logs/{study}/figure_11.tsv"


use rule figure_01 as figure_12 with:
    input:
        catalog="results/{study}/catalog.fits",
        reference="results/{study}/catalogs/reference.fits",
    output:
        pdf="results/{study}/figures/figure_12.pdf",
        png=report(
            "results/{study}/figures/figure_12.png",
            caption="../report/ho2017/figure_12.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": "12", "shows": "the alpha-enhanced sky"},
        ),
    log:
        "logs/{study}/figure_12.log",
    benchmark:
        "logs/{study}/figure_12.tsv"


# The final files of every study. Targets name them all, and not the manifest alone, so that one that was lost is made anew.
FIGURES = {
    name: expand(
        "results/{study}/figures/{figure}.{kind}",
        study=name,
        figure=[
            *(f"figure_{number:02d}" for number in study["figures"]),
            *(NETWORK_FIGURES if study["model"]["kind"] == "network" else []),
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
            *(["published_vs_here.csv"] if study["paper"] else []),
            *(["validation/recovery_mock.csv"] if SOURCE == "mock" else []),
            *(NETWORK_TABLES if study["model"]["kind"] == "network" else []),
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
        "{wildcards.study}: complete"
    script:
        "../scripts/figures/complete.py"
