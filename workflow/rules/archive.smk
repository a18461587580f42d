# What the surveys publish, from one of three sources: made up (mock), fetched (public), or one's own (local).


rule mock_catalogs:
    input:
        spectra=fact("resources/ab_initio/spectra_r1800.fits"),
    output:
        lamost="results/archive/mock/{release}/catalogs/lamost_mock.fits.gz",
        apogee="results/archive/mock/{release}/catalogs/apogee_mock.fits",
        truth="results/archive/mock/{release}/truth_mock.fits",
    log:
        "logs/mock_catalogs/{release}.log",
    benchmark:
        "logs/mock_catalogs/{release}.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        settings=config["archives"]["mock"],
        seed=config["seed"],
        code=code_of("mock"),
    message:
        "mock archive, release {wildcards.release}: catalogues"
    script:
        "../scripts/archive/mock_catalogs.py"


rule mock_spectra:
    input:
        spectra=fact("resources/ab_initio/spectra_r1800.fits"),
    output:
        written="results/archive/mock/{release}/written/{item}.json",
    log:
        "logs/mock_spectra/{release}/{item}.log",
    benchmark:
        "logs/mock_spectra/{release}/{item}.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        settings=config["archives"]["mock"],
        seed=config["seed"],
        code=code_of("mock"),
    message:
        "mock archive, release {wildcards.release}: spectra {wildcards.item}"
    script:
        "../scripts/archive/mock_spectra.py"


rule fetch_catalog:
    input:
        datasets=fact(config["archives"]["public"]["datasets"]),
    output:
        catalog="results/archive/public/{release}/{dataset}.fits",
        ledger="results/archive/public/{release}/{dataset}.ledger.csv",
    log:
        "logs/fetch_catalog/{release}_{dataset}.log",
    benchmark:
        "logs/fetch_catalog/{release}_{dataset}.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(240),
    params:
        settings=config["archives"]["public"],
    message:
        "fetching {wildcards.dataset} of {wildcards.release}"
    script:
        "../scripts/archive/fetch_catalog.py"


# The catalogues in the one form that everything after knows; which files they come from depends on the source.
CATALOG_FILES = {
    "mock": lambda w: {
        "lamost": f"results/archive/mock/{config['studies'][w.study]['releases']['lamost']}/catalogs/lamost_mock.fits.gz",
        "apogee": f"results/archive/mock/{config['studies'][w.study]['releases']['lamost']}/catalogs/apogee_mock.fits",
    },
    "public": lambda w: {
        "lamost": f"results/archive/public/{config['studies'][w.study]['releases']['lamost']}/stellar_catalog.fits",
        "apogee": f"results/archive/public/{config['studies'][w.study]['releases']['apogee']}/allstar.fits",
    },
    "local": lambda w: {},
}
# Spectra that must have been made before any of them can be fetched.
MADE_SPECTRA = {
    "mock": lambda w: expand(
        "results/archive/mock/{release}/written/{item}.json",
        release=config["studies"][w.study]["releases"]["lamost"],
        item=ITEMS["survey"],
    ),
    "public": lambda w: [],
    "local": lambda w: [],
}


rule catalogs:
    input:
        unpack(CATALOG_FILES[SOURCE]),
    output:
        survey="results/{study}/catalogs/survey.fits",
        reference="results/{study}/catalogs/reference.fits",
        rejected="results/{study}/catalogs/rejected_catalogs.fits",
    log:
        "logs/{study}/catalogs.log",
    benchmark:
        "logs/{study}/catalogs.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        source=SOURCE,
        local=config["archives"]["local"],
        labels=lambda w: {
            **config["studies"][w.study]["labels"],
            **config["studies"][w.study].get("extra_labels", {}),
        },
        code=code_of("sources"),
    message:
        "{wildcards.study}: reading the catalogues of the {params.source} archive"
    script:
        "../scripts/archive/catalogs.py"


rule fetch_spectra:
    input:
        made=MADE_SPECTRA[SOURCE],
        stars="results/{study}/catalogs/{role}_set.fits",
        datasets=fact(config["archives"]["public"]["datasets"]),
    output:
        ledger="results/{study}/archive/{role}/{item}.fits",
    log:
        "logs/{study}/fetch_spectra/{role}_{item}.log",
    benchmark:
        "logs/{study}/fetch_spectra/{role}_{item}.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(1440),
        downloads=1 if SOURCE == "public" else 0,
    params:
        source=SOURCE,
        archives=config["archives"],
        release=lambda w: config["studies"][w.study]["releases"]["lamost"],
        code=code_of("sources"),
    message:
        "{wildcards.study}: spectra of the {wildcards.role} stars, {wildcards.item}, from the {params.source} archive"
    script:
        "../scripts/archive/fetch_spectra.py"


rule fetch_example:
    input:
        made=lambda w: [*CATALOG_FILES[SOURCE](w).values()],
        stars="results/{study}/catalogs/reference_set.fits",
        datasets=fact(config["archives"]["public"]["datasets"]),
    output:
        spectrum="results/{study}/archive/example_apogee.fits",
    log:
        "logs/{study}/fetch_example.log",
    benchmark:
        "logs/{study}/fetch_example.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
        downloads=1 if SOURCE == "public" else 0,
    params:
        source=SOURCE,
        archives=config["archives"],
        star=lambda w: config["studies"][w.study]["example_star"],
        releases=lambda w: config["studies"][w.study]["releases"],
        code=code_of("sources"),
    message:
        "{wildcards.study}: the APOGEE spectrum of {params.star}"
    script:
        "../scripts/archive/fetch_example.py"
