# What a reader gets: where everything comes from, one file for a public archive, and where the time went.
import yaml

from labeltransfer.files.deposit import VERSION
from labeltransfer.settings import surrounding_versions

# Tables of facts that rules read without leaving a trace in a table of their own.
RESOURCES = [
    fact(table)
    for table in (
        "resources/ab_initio/spectra_r1800.fits",
        "resources/lines/spectral_features.csv",
        "resources/lines/dibs.csv",
        config["archives"]["public"]["datasets"],
        *dict.fromkeys(table for name in config["run"] for table in PREPARATION[name]["windows"]),
    )
]
RUN = {key: value for key, value in config.items() if key not in ("archives", "studies", "run")}


rule provenance:
    input:
        figures=lambda w: FIGURES[w.study],
        tables=lambda w: TABLES[w.study],
        resources=lambda w: [*RESOURCES, *filter(None, [published_numbers(w.study)])],
    output:
        record="results/{study}/provenance.json",
    log:
        "logs/{study}/provenance.log",
    benchmark:
        "logs/{study}/provenance.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(20),
    params:
        settings=lambda w: {
            **RUN,
            "archives": {SOURCE: config["archives"][SOURCE]},
            "data": data_of_study(w),
            "study": config["studies"][w.study],
        },
        silent=lambda w, output: silent_files(w.study, prefix_of(output.record)),
        code=lambda w: {**CODE, **surrounding_versions(FOLDER)},
    message:
        "{wildcards.study}: where every file comes from"
    script:
        "../scripts/release/provenance.py"


rule tables_page:
    input:
        lambda w: [table for table in TABLES[w.study] if table.endswith(".csv")],
    output:
        page=report(
            "results/{study}/tables.html",
            caption="../report/tables.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "all of them, to read here"},
        ),
    log:
        "logs/{study}/tables_page.log",
    benchmark:
        "logs/{study}/tables_page.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(500),
        runtime=growing(10),
    params:
        title=lambda w: f"{config['studies'][w.study]['title']} ({SOURCE} archive)",
    message:
        "{wildcards.study}: tables on one page"
    script:
        "../scripts/release/tables_page.py"


# Texts of the repository, which may be no folder.
TEXTS = {
    name: Path(workflow.source_path(f"../../{name}")).read_text(encoding="utf-8")
    for name in ("CITATION.cff", "LICENSE")
}


rule release:
    input:
        results=[file for study in config["run"] for file in (*FINAL[study], MODEL[study])],
    output:
        deposit=f"results/release/survey-label-transfer-{VERSION}-{SOURCE}.zip",
    log:
        "logs/release.log",
    benchmark:
        "logs/release.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        repository=str(FOLDER.parent) if IS_FOLDER else None,
        address=str(HERE),
        config=config,
        citation=yaml.safe_load(TEXTS["CITATION.cff"]),
        texts=TEXTS,
        version=VERSION,
        code=CODE,
    message:
        "packing code, configuration and results for a public archive"
    script:
        "../scripts/release/release.py"


# Not a result: it differs from run to run, and so is no part of any other target.
rule times:
    input:
        [f"results/{study}/complete.json" for study in config["run"]],
    output:
        table="results/times/times.csv",
        pdf="results/times/times.pdf",
        png=report(
            "results/times/times.png",
            caption="../report/times.rst",
            category="the run",
            labels={"figure": "where the time goes"},
        ),
    log:
        "logs/times.log",
    benchmark:
        "logs/times.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/figures.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        logs=lambda w, output: f"{prefix_of(output.table)}logs",
        patterns=lambda w: {one.name: str(one.benchmark) for one in workflow.rules if one.benchmark},
    message:
        "where the time goes"
    script:
        "../scripts/release/times.py"
