# One network per pixel with a prior from ab initio gradients (Ting et al. 2017), the models it is compared with, and
# the tests of all of them.

# The first is the model of the catalogue; the others are for comparison.
METHODS = ["prior", "no_prior", "l1", "quadratic"]
NETWORK_FIGURES = ["d_scale", "cramer_rao", *(["shift_test"] if SOURCE == "mock" else [])]
NETWORK_TABLES = [
    "gradient_correlation.csv",
    "cramer_rao.csv",
    "d_scale_scan.csv",
    *(["shift_test.csv"] if SOURCE == "mock" else []),
]


rule training_set:
    input:
        stores=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.h5"),
        stars=REFERENCE_SET,
    output:
        stars="results/{study}/models/reference_clip.fits",
        training="results/{study}/models/training.h5",
    log:
        "logs/{study}/training_set.log",
    benchmark:
        "logs/{study}/training_set.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        model=lambda w: config["studies"][w.study]["model"],
        network=lambda w: config["studies"][w.study]["network"],
        code=code_of("catalogs", "spectra", "models"),
    message:
        "{wildcards.study}: training and test stars by their S/N"
    script:
        "../scripts/network/training_set.py"


rule theory:
    input:
        spectra=lambda w: fact(config["studies"][w.study]["network"]["spectra"]),
        training="results/{study}/models/training.h5",
        noise=noise_of,
    output:
        theory="results/{study}/models/theory.fits",
    log:
        "logs/{study}/theory.log",
    benchmark:
        "logs/{study}/theory.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        references=lambda w: config["studies"][w.study]["network"]["references"],
        preparation=lambda w: PREPARATION[w.study],
        code=code_of("spectra", "models"),
    message:
        "{wildcards.study}: ab initio gradient spectra, normalised as the data"
    script:
        "../scripts/network/theory.py"


rule ridge:
    input:
        training="results/{study}/models/training.h5",
        theory="results/{study}/models/theory.fits",
    output:
        table="results/{study}/models/ridge_{method}.csv",
    log:
        "logs/{study}/ridge_{method}.log",
    benchmark:
        "logs/{study}/ridge_{method}.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        network=lambda w: config["studies"][w.study]["network"],
        seed=config["seed"],
        code=code_of("catalogs", "spectra", "models"),
    message:
        "{wildcards.study}: choosing the ridge of the networks, {wildcards.method}"
    script:
        "../scripts/network/ridge.py"


rule network_part:
    input:
        training="results/{study}/models/training.h5",
        theory="results/{study}/models/theory.fits",
        ridge=lambda w: f"results/{w.study}/models/ridge_{'prior' if w.method == 'prior' else 'no_prior'}.csv",
        strength=lambda w: f"results/{w.study}/models/l1_strength.csv" if w.method == "l1" else [],
    output:
        model=temp("results/{study}/models/parts/{method}/{item}.h5"),
    log:
        "logs/{study}/network_part/{method}_{item}.log",
    benchmark:
        "logs/{study}/network_part/{method}_{item}.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(240),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        network=lambda w: config["studies"][w.study]["network"],
        seed=config["seed"],
        code=code_of("catalogs", "spectra", "models"),
    message:
        "{wildcards.study}: training networks, {wildcards.method}, pixels {wildcards.item}"
    script:
        "../scripts/network/network_part.py"


rule network:
    input:
        parts=gather.pixels("results/{{study}}/models/parts/{{method}}/{scatteritem}.h5"),
        noise=noise_of,
    output:
        model="results/{study}/models/{method}.h5",
    log:
        "logs/{study}/network_{method}.log",
    benchmark:
        "logs/{study}/network_{method}.tsv"
    wildcard_constraints:
        study=NETWORK,
        method="prior|no_prior|l1",
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        code=code_of("spectra", "models"),
    message:
        "{wildcards.study}: joining the networks of all pixels, {wildcards.method}"
    script:
        "../scripts/network/network.py"


rule quadratic:
    input:
        training="results/{study}/models/training.h5",
        clip="results/{study}/models/reference_clip.fits",
    output:
        model="results/{study}/models/quadratic.h5",
    log:
        "logs/{study}/quadratic.log",
    benchmark:
        "logs/{study}/quadratic.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(60),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        model=lambda w: config["studies"][w.study]["model"],
        code=code_of("catalogs", "spectra", "models"),
    message:
        "{wildcards.study}: training the quadratic model"
    script:
        "../scripts/network/quadratic.py"


rule l1_strength:
    input:
        training="results/{study}/models/training.h5",
        theory="results/{study}/models/theory.fits",
        ridge="results/{study}/models/ridge_no_prior.csv",
    output:
        table="results/{study}/models/l1_strength.csv",
    log:
        "logs/{study}/l1_strength.log",
    benchmark:
        "logs/{study}/l1_strength.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        network=lambda w: config["studies"][w.study]["network"],
        seed=config["seed"],
        code=code_of("catalogs", "spectra", "models", "validation"),
    message:
        "{wildcards.study}: choosing the strength of the L1 penalty by the gradients"
    script:
        "../scripts/network/l1_strength.py"


rule method_labels:
    input:
        stores=lambda w: {
            "reference": expand(
                "results/{study}/spectra/reference/{item}.h5", study=w.study, item=ITEMS["reference"]
            ),
            "shifted": [f"results/{w.study}/validation/shifted_mock.h5"],
        }[w.sample],
        model="results/{study}/models/{method}.h5",
        training="results/{study}/models/training.h5",
    output:
        labels="results/{study}/labels/methods/{method}_{sample}.fits",
    log:
        "logs/{study}/method_labels/{method}_{sample}.log",
    benchmark:
        "logs/{study}/method_labels/{method}_{sample}.tsv"
    wildcard_constraints:
        study=NETWORK,
        method="|".join(METHODS),
        sample="reference|shifted",
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(120),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        code=code_of("catalogs", "spectra", "models"),
    message:
        "{wildcards.study}: labels of the {wildcards.sample} stars by {wildcards.method}"
    script:
        "../scripts/network/method_labels.py"


rule compare_methods:
    input:
        stars="results/{study}/models/reference_clip.fits",
        prior=gather.reference("results/{{study}}/labels/reference/{scatteritem}.fits"),
        others=expand("results/{{study}}/labels/methods/{method}_reference.fits", method=METHODS[1:]),
        models=expand("results/{{study}}/models/{method}.h5", method=METHODS),
        repeats=repeats_of,
        repeats_stars=repeats_set_of,
    output:
        table="results/{study}/validation/comparison.fits",
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
        calibration="results/{study}/validation/calibration.json",
    log:
        "logs/{study}/compare_methods.log",
    benchmark:
        "logs/{study}/compare_methods.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(30),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        methods=METHODS[1:],
        seed=config["seed"],
        code=code_of("catalogs", "models", "validation"),
    message:
        "{wildcards.study}: labels of the reference stars from the reference survey and from every method"
    script:
        "../scripts/network/compare_methods.py"


rule gradients:
    input:
        models=expand("results/{{study}}/models/{method}.h5", method=METHODS),
        theory="results/{study}/models/theory.fits",
        training="results/{study}/models/training.h5",
    output:
        gradients="results/{study}/validation/gradients.fits",
        correlation=report(
            "results/{study}/gradient_correlation.csv",
            caption="../report/gradient_correlation.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "gradient correlation"},
        ),
    log:
        "logs/{study}/gradients.log",
    benchmark:
        "logs/{study}/gradients.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        source=SOURCE,
        labels=lambda w: config["studies"][w.study]["labels"],
        methods=METHODS,
        code=code_of("spectra", "models", "validation"),
    message:
        "{wildcards.study}: gradient spectra of every model against theory"
    script:
        "../scripts/network/gradients.py"


rule cramer_rao:
    input:
        gradients="results/{study}/validation/gradients.fits",
        comparison="results/{study}/validation/comparison.fits",
    output:
        table=report(
            "results/{study}/cramer_rao.csv",
            caption="../report/cramer_rao.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "cramer rao"},
        ),
    log:
        "logs/{study}/cramer_rao.log",
    benchmark:
        "logs/{study}/cramer_rao.tsv"
    wildcard_constraints:
        study=NETWORK,
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
        network=lambda w: config["studies"][w.study]["network"],
        code=code_of("validation"),
    message:
        "{wildcards.study}: Cramer-Rao bounds, and the measured scatter over them"
    script:
        "../scripts/network/cramer_rao.py"


rule d_scale:
    input:
        training="results/{study}/models/training.h5",
        theory="results/{study}/models/theory.fits",
        ridge="results/{study}/models/ridge_prior.csv",
        plain_ridge="results/{study}/models/ridge_no_prior.csv",
    output:
        table="results/{study}/validation/d_scale/{number}.csv",
    log:
        "logs/{study}/d_scale/{number}.log",
    benchmark:
        "logs/{study}/d_scale/{number}.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        network=lambda w: config["studies"][w.study]["network"],
        seed=config["seed"],
        code=code_of("spectra", "models", "validation"),
    message:
        "{wildcards.study}: cross-validation on some pixels with D_scale number {wildcards.number}"
    script:
        "../scripts/network/d_scale.py"


rule d_scale_scan:
    input:
        tables=lambda w: expand(
            "results/{study}/validation/d_scale/{number:02d}.csv",
            study=w.study,
            number=range(len(config["studies"][w.study]["network"]["scan"]["d_scales"])),
        ),
    output:
        table=report(
            "results/{study}/d_scale_scan.csv",
            caption="../report/d_scale_scan.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "d scale scan"},
        ),
    log:
        "logs/{study}/d_scale_scan.log",
    benchmark:
        "logs/{study}/d_scale_scan.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        source=SOURCE,
        code=code_of("validation"),
    message:
        "{wildcards.study}: scatter and gradient correlation against D_scale"
    script:
        "../scripts/network/d_scale_scan.py"


rule extra_labels:
    input:
        stores=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.h5"),
        stars=REFERENCE_SET,
        clip="results/{study}/models/reference_clip.fits",
        spectra=lambda w: fact(config["studies"][w.study]["network"]["spectra"]),
        ridge="results/{study}/models/ridge_prior.csv",
        noise=noise_of,
    output:
        table=report(
            "results/{study}/extra_labels.csv",
            caption="../report/extra_labels.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "extra labels"},
        ),
    log:
        "logs/{study}/extra_labels.log",
    benchmark:
        "logs/{study}/extra_labels.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        source=SOURCE,
        labels=lambda w: config["studies"][w.study]["labels"],
        extra=lambda w: config["studies"][w.study]["extra_labels"],
        network=lambda w: config["studies"][w.study]["network"],
        preparation=lambda w: PREPARATION[w.study],
        seed=config["seed"],
        code=code_of("spectra", "models", "validation"),
    message:
        "{wildcards.study}: further labels, on some pixels"
    script:
        "../scripts/network/extra_labels.py"


rule shifted_spectra_mock:
    input:
        spectra=fact("resources/ab_initio/spectra_r1800.fits"),
        stars="results/{study}/models/reference_clip.fits",
        windows=windows_of,
        fibres=fibres_of,
        noise=noise_of,
    output:
        store="results/{study}/validation/shifted_mock.h5",
    log:
        "logs/{study}/shifted_spectra_mock.log",
    benchmark:
        "logs/{study}/shifted_spectra_mock.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        settings=config["archives"]["mock"],
        release=lambda w: config["studies"][w.study]["releases"]["survey"],
        labels=lambda w: config["studies"][w.study]["labels"],
        shift=lambda w: config["studies"][w.study]["network"]["shift"],
        grid=lambda w: GRID[w.study],
        preparation=lambda w: PREPARATION[w.study],
        seed=config["seed"],
        code=code_of("spectra", "validation"),
    message:
        "{wildcards.study}: stars of the mock observed again, each with one abundance shifted"
    script:
        "../scripts/network/shifted_spectra_mock.py"


rule shift_test:
    input:
        store="results/{study}/validation/shifted_mock.h5",
        labels=expand("results/{{study}}/labels/methods/{method}_shifted.fits", method=METHODS),
        models=expand("results/{{study}}/models/{method}.h5", method=METHODS),
    output:
        table=report(
            "results/{study}/shift_test.csv",
            caption="../report/shift_test.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "shift test"},
        ),
    log:
        "logs/{study}/shift_test.log",
    benchmark:
        "logs/{study}/shift_test.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        methods=METHODS,
        code=code_of("models", "validation"),
    message:
        "{wildcards.study}: how much of a shift of one abundance every method finds"
    script:
        "../scripts/network/shift_test.py"


rule published_network:
    input:
        published=lambda w: published_numbers(w.study),
        comparison="results/{study}/validation/comparison.fits",
        summary="results/{study}/validation/cross_validation.csv",
        correlation="results/{study}/gradient_correlation.csv",
        bounds="results/{study}/cramer_rao.csv",
        scan="results/{study}/d_scale_scan.csv",
        extra=lambda w: (
            f"results/{w.study}/extra_labels.csv" if "extra_labels" in config["studies"][w.study] else []
        ),
        model="results/{study}/models/prior.h5",
    output:
        table=report(
            "results/{study}/published_vs_here.csv",
            caption="../report/published_vs_here.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "published vs here"},
        ),
    log:
        "logs/{study}/published_network.log",
    benchmark:
        "logs/{study}/published_network.tsv"
    wildcard_constraints:
        study=NETWORK,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(10),
    params:
        source=SOURCE,
        labels=lambda w: config["studies"][w.study]["labels"],
        code=code_of("models", "validation"),
    message:
        "{wildcards.study}: published numbers beside the ones measured here"
    script:
        "../scripts/network/published_network.py"
