# From files to normalised spectra on the common grid.


rule typical_noise:
    input:
        fetched=gather.reference("results/{{study}}/archive/reference/{scatteritem}.fits"),
        windows=windows_of,
        fibres=fibres_of,
    output:
        noise="results/{study}/spectra/typical_noise.fits",
    log:
        "logs/{study}/typical_noise.log",
    benchmark:
        "logs/{study}/typical_noise.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(30),
    params:
        most=1000,
        survey=lambda w: config["studies"][w.study]["releases"]["survey"],
        grid=lambda w: GRID[w.study],
        preparation=lambda w: PREPARATION[w.study],
        seed=config["seed"],
        code=code_of("spectra"),
    message:
        "{wildcards.study}: the typical shape of the noise"
    script:
        "../scripts/spectra/typical_noise.py"


rule residual_noise:
    input:
        fetched=gather.reference("results/{{study}}/archive/reference/{scatteritem}.fits"),
        windows=windows_of,
        fibres=fibres_of,
        noise=noise_of,
    output:
        model="results/{study}/spectra/residual_noise.fits",
    log:
        "logs/{study}/residual_noise.log",
    benchmark:
        "logs/{study}/residual_noise.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(1500),
        runtime=growing(30),
    params:
        most=1000,
        survey=lambda w: config["studies"][w.study]["releases"]["survey"],
        grid=lambda w: GRID[w.study],
        preparation=lambda w: PREPARATION[w.study],
        seed=config["seed"],
        code=code_of("spectra"),
    message:
        "{wildcards.study}: the noise of spectra without errors, from what principal components leave of them"
    script:
        "../scripts/spectra/residual_noise.py"


rule prepare:
    input:
        fetched=fetched_part if SOURCE == "local" else "results/{study}/archive/{role}/{item}.fits",
        windows=windows_of,
        fibres=fibres_of,
        noise=noise_of,
        residuals=residuals_of,
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
        survey=lambda w: config["studies"][w.study]["releases"]["survey"],
        grid=lambda w: GRID[w.study],
        preparation=lambda w: PREPARATION[w.study],
        code=code_of("spectra"),
    message:
        "{wildcards.study}: rest frame, grid, masks and Eq. 1 for the {wildcards.role} spectra, {wildcards.item}"
    script:
        "../scripts/spectra/prepare.py"
