# The Cannon: train, with the 4-sigma self-clip of the reference set, and bootstrap models.


rule train:
    input:
        stores=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.h5"),
        stars="results/{study}/catalogs/reference_set.fits",
        starts=lambda w: config["studies"][w.study]["starts"] or [],
    output:
        model="results/{study}/models/cannon.h5",
        clip="results/{study}/models/reference_clip.fits",
    log:
        "logs/{study}/train.log",
    benchmark:
        "logs/{study}/train.tsv"
    wildcard_constraints:
        study=CANNON,
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        model=lambda w: config["studies"][w.study]["model"],
        code=code_of("spectra", "models"),
    message:
        "{wildcards.study}: training on the reference set"
    script:
        "../scripts/cannon/train.py"


rule bootstrap:
    input:
        stores=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.h5"),
        stars="results/{study}/catalogs/reference_set.fits",
        clip="results/{study}/models/reference_clip.fits",
    output:
        model="results/{study}/models/bootstrap/{replicate}.h5",
    log:
        "logs/{study}/bootstrap/{replicate}.log",
    benchmark:
        "logs/{study}/bootstrap/{replicate}.tsv"
    wildcard_constraints:
        study=CANNON,
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        model=lambda w: config["studies"][w.study]["model"],
        n_models=lambda w: config["studies"][w.study]["validation"]["bootstrap"],
        seed=config["seed"],
        code=code_of("spectra", "models", "validation"),
    message:
        "{wildcards.study}: bootstrap model {wildcards.replicate}"
    script:
        "../scripts/cannon/bootstrap.py"
