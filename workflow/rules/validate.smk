# How good the labels are: cross-validation, calibrated errors, truth (mock only), published numbers.


rule cross_validate:
    input:
        stores=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.h5"),
        stars=REFERENCE_SET,
        clip="results/{study}/models/reference_clip.fits",
        starts=lambda w: starts_of(w.study),
    output:
        table="results/{study}/validation/cross_validation.fits",
    log:
        "logs/{study}/cross_validate.log",
    benchmark:
        "logs/{study}/cross_validate.tsv"
    wildcard_constraints:
        study=CANNON,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(120),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        model=lambda w: config["studies"][w.study]["model"],
        validation=lambda w: config["studies"][w.study]["validation"],
        seed=config["seed"],
        code=code_of("spectra", "models", "validation"),
    message:
        "{wildcards.study}: 80/20 and k-fold cross-validation, split by star"
    script:
        "../scripts/validate/cross_validate.py"


rule calibrate:
    input:
        table="results/{study}/validation/cross_validation.fits",
        labels=gather.reference("results/{{study}}/labels/reference/{scatteritem}.fits"),
        repeats=repeats_of,
        repeats_stars=repeats_set_of,
    output:
        calibration="results/{study}/validation/calibration.json",
        summary=report(
            "results/{study}/validation/cross_validation.csv",
            caption="../report/cross_validation.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "cross validation"},
        ),
        errors=report(
            "results/{study}/validation/errors.csv",
            caption="../report/errors.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "errors"},
        ),
    log:
        "logs/{study}/calibrate.log",
    benchmark:
        "logs/{study}/calibrate.tsv"
    wildcard_constraints:
        study=CANNON,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        min_snr=lambda w: config["studies"][w.study]["validation"]["min_snr"],
        folds=lambda w: config["studies"][w.study]["validation"]["folds"],
        code=code_of("validation"),
    message:
        "{wildcards.study}: calibrating formal errors on held-out stars"
    script:
        "../scripts/validate/calibrate.py"


rule compare:
    input:
        stars=REFERENCE_SET,
        clip="results/{study}/models/reference_clip.fits",
        labels=gather.reference("results/{{study}}/labels/reference/{scatteritem}.fits"),
        cross_validation="results/{study}/validation/cross_validation.fits",
        calibration="results/{study}/validation/calibration.json",
    output:
        table="results/{study}/validation/comparison.fits",
    log:
        "logs/{study}/compare.log",
    benchmark:
        "logs/{study}/compare.tsv"
    wildcard_constraints:
        study=CANNON,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        pipeline=lambda w: config["studies"][w.study]["pipeline"],
        code=code_of("validation"),
    message:
        "{wildcards.study}: labels of the reference set from the reference survey, the pipeline and the model"
    script:
        "../scripts/validate/compare.py"


rule recovery_mock:
    input:
        catalog="results/{study}/catalog.fits",
        truth=lambda w: f"results/archive/mock/{config['studies'][w.study]['releases']['survey']}/truth_mock.fits",
    output:
        table=report(
            "results/{study}/validation/recovery_mock.csv",
            caption="../report/recovery_mock.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "recovery mock"},
        ),
    log:
        "logs/{study}/recovery_mock.log",
    benchmark:
        "logs/{study}/recovery_mock.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        min_snr=lambda w: config["studies"][w.study]["validation"]["min_snr"],
        code=code_of("validation"),
    message:
        "{wildcards.study}: recovered labels against the truth of the mock"
    script:
        "../scripts/validate/recovery_mock.py"


rule repeats:
    input:
        stars="results/{study}/catalogs/repeats_set.fits",
        labels=gather.repeats("results/{{study}}/labels/repeats/{scatteritem}.fits"),
        calibration="results/{study}/validation/calibration.json",
    output:
        table=report(
            "results/{study}/validation/repeats.csv",
            caption="../report/repeats.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "repeats"},
        ),
    log:
        "logs/{study}/repeats.log",
    benchmark:
        "logs/{study}/repeats.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        source=SOURCE,
        labels=lambda w: config["studies"][w.study]["labels"],
        code=code_of("catalogs", "validation"),
    message:
        "{wildcards.study}: labels of stars that were observed more than once"
    script:
        "../scripts/validate/repeats.py"


rule orders:
    input:
        stores=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.h5"),
        stars=REFERENCE_SET,
        clip="results/{study}/models/reference_clip.fits",
        starts=lambda w: starts_of(w.study),
    output:
        table=report(
            "results/{study}/validation/orders.csv",
            caption="../report/orders.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "orders"},
        ),
    log:
        "logs/{study}/orders.log",
    benchmark:
        "logs/{study}/orders.tsv"
    wildcard_constraints:
        study=CANNON,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(240),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        model=lambda w: config["studies"][w.study]["model"],
        folds=5,
        seed=config["seed"],
        code=code_of("spectra", "models", "validation"),
    message:
        "{wildcards.study}: orders of the model by the likelihood of stars that it had not seen"
    script:
        "../scripts/validate/orders.py"


rule clusters:
    input:
        table="results/{study}/validation/cross_validation.fits",
    output:
        table=report(
            "results/{study}/validation/clusters.csv",
            caption="../report/clusters.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "clusters"},
        ),
    log:
        "logs/{study}/clusters.log",
    benchmark:
        "logs/{study}/clusters.tsv"
    wildcard_constraints:
        study=CANNON,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        code=code_of("validation"),
    message:
        "{wildcards.study}: labels within groups of stars"
    script:
        "../scripts/validate/clusters.py"


rule line_width:
    input:
        reference=lambda w: f"results/archive/registry/{config['studies'][w.study]['releases']['survey']}/files.fits",
        survey=lambda w: f"results/archive/registry/{config['studies'][w.study]['line_width']['release']}/files.fits",
        windows=windows_of,
    output:
        table=report(
            "results/{study}/validation/line_width.csv",
            caption="../report/checks/line_width.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "line width"},
        ),
        windows="results/{study}/validation/line_width_windows.csv",
    log:
        "logs/{study}/line_width.log",
    benchmark:
        "logs/{study}/line_width.tsv"
    wildcard_constraints:
        study=CANNON,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        labels=lambda w: list(config["studies"][w.study]["labels"]),
        grid=lambda w: config["studies"][w.study]["line_width"]["grid"],
        teff=lambda w: config["studies"][w.study]["line_width"]["teff"],
        preparation=lambda w: {**PREPARATION[w.study], "missing_errors": 100.0},
        seed=config["seed"],
        code=code_of("spectra", "models", "validation"),
    message:
        "{wildcards.study}: what the line width does to labels"
    script:
        "../scripts/validate/line_width.py"


rule choices:
    input:
        fetched=gather.reference("results/{{study}}/archive/reference/{scatteritem}.fits"),
        stars=REFERENCE_SET,
        clip="results/{study}/models/reference_clip.fits",
        starts=lambda w: starts_of(w.study),
        windows=windows_of,
        fibres=lambda w: fibres_by(w.study, config["preparation"]),
        truth=lambda w: (
            f"results/archive/mock/{config['studies'][w.study]['releases']['survey']}/truth_mock.fits"
            if SOURCE == "mock"
            else []
        ),
    output:
        table=report(
            "results/{study}/validation/choices.csv",
            caption="../report/choices.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "choices"},
        ),
    log:
        "logs/{study}/choices.log",
    benchmark:
        "logs/{study}/choices.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        model=quick_model,
        validation=lambda w: config["studies"][w.study]["validation"],
        survey=lambda w: config["studies"][w.study]["releases"]["survey"],
        grid=lambda w: GRID[w.study],
        preparation=lambda w: PREPARATION[w.study],
        resolution=config["preparation"]["resolution"],
        most=lambda w: 1000 if config["studies"][w.study]["model"]["kind"] == "network" else 3000,
        seed=config["seed"],
        code=code_of("catalogs", "spectra", "models", "validation"),
    message:
        "{wildcards.study}: what each choice of preparation and training costs"
    script:
        "../scripts/validate/choices.py"


rule published:
    input:
        published=lambda w: published_numbers(w.study),
        comparison="results/{study}/validation/comparison.fits",
        cross_validation="results/{study}/validation/cross_validation.fits",
        catalog="results/{study}/catalog.fits",
        ledger="results/{study}/ledger.parquet",
        reference="results/{study}/catalogs/reference.fits",
        reference_set="results/{study}/catalogs/reference_set.fits",
        matches="results/{study}/catalogs/matches.fits",
        model="results/{study}/models/cannon.h5",
    output:
        table=report(
            "results/{study}/published_vs_here.csv",
            caption="../report/published_vs_here.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "published vs here"},
        ),
    log:
        "logs/{study}/published.log",
    benchmark:
        "logs/{study}/published.tsv"
    wildcard_constraints:
        study=CANNON,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        source=SOURCE,
        paper=lambda w: config["studies"][w.study]["paper"],
        tutorial=lambda w: config["studies"][w.study]["releases"]["survey"] == "lamost-tutorial",
        labels=lambda w: config["studies"][w.study]["labels"],
        min_snr=lambda w: config["studies"][w.study]["validation"]["min_snr"],
        code=code_of("models", "validation"),
    message:
        "{wildcards.study}: published numbers beside the ones measured here"
    script:
        "../scripts/validate/published.py"
