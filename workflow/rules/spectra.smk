# From files to normalised spectra on the common grid.


rule prepare:
    input:
        fetched=fetched_part if SOURCE == "local" else "results/{study}/archive/{role}/{item}.fits",
        windows=[fact(table) for table in config["preparation"]["windows"]],
        fibres=fibres_of,
    output:
        store="results/{study}/spectra/{role}/{item}.h5",
        rejected="results/{study}/spectra/{role}/{item}.rejected.fits",
    log:
        "logs/{study}/prepare/{role}_{item}.log",
    benchmark:
        "logs/{study}/prepare/{role}_{item}.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(240),
    params:
        grid=config["grid"],
        preparation=lambda w: PREPARATION[w.study],
        code=code_of("spectra"),
    message:
        "{wildcards.study}: rest frame, grid, masks and Eq. 1 for the {wildcards.role} spectra, {wildcards.item}"
    script:
        "../scripts/spectra/prepare.py"
