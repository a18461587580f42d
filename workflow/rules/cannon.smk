# The Cannon: train, with the 4-sigma self-clip of the reference set, and bootstrap models.


rule train:
    input:
        stores=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.h5"),
        stars=REFERENCE_SET,
        starts=lambda w: starts_of(w.study),
        noise=noise_of,
    output:
        model="results/{study}/models/cannon.h5",
        clip="results/{study}/models/reference_clip.fits",
    log:
        "logs/{study}/train.log",
    benchmark:
        "logs/{study}/train.tsv"
    wildcard_constraints:
        study=CANNON,
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 2
    resources:
        mem_mb=growing(4000),
        runtime=growing(60),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        model=lambda w: config["studies"][w.study]["model"],
        code=code_of("catalogs", "spectra", "models"),
    message:
        "{wildcards.study}: training on the reference set"
    script:
        "../scripts/cannon/train.py"


# Number of bootstrap models -> the studies that want so many.
WANTED = {
    name: config["studies"][name]["validation"]["bootstrap"] for name in CANNON.split("|") if name != "(?!)"
}
BOOTSTRAP = {
    count: [name for name in WANTED if WANTED[name] == count] for count in sorted(set(WANTED.values()))
}


# All models of a study in one job, which takes less than the start of a job for each. Outputs are named when a rule is
# read: one rule for each number of them, and only that of the smallest is called by its name alone.
for suffix, count in zip(["", *(f"_{count}" for count in list(BOOTSTRAP)[1:])], BOOTSTRAP):

    rule:
        name:
            f"bootstrap{suffix}"
        input:
            stores=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.h5"),
            stars=REFERENCE_SET,
            clip="results/{study}/models/reference_clip.fits",
        output:
            models=expand("results/{{study}}/models/bootstrap/{replicate}.h5", replicate=range(count)),
        log:
            "logs/{study}/bootstrap.log",
        benchmark:
            "logs/{study}/bootstrap.tsv"
        wildcard_constraints:
            study="|".join(BOOTSTRAP[count]),
        priority: BY_STUDY
        conda:
            "../../envs/models.yaml"
        threads: 2
        resources:
            mem_mb=growing(4000),
            runtime=growing(60),
        params:
            labels=lambda w: config["studies"][w.study]["labels"],
            model=lambda w: config["studies"][w.study]["model"],
            seed=config["seed"],
            code=code_of("catalogs", "spectra", "models"),
        message:
            "{wildcards.study}: bootstrap models"
        script:
            "../scripts/cannon/bootstrap.py"
