# Labels for the whole survey in chunks, and the catalogue that gathers them.

# The model of a study, and for networks the theory that its gradients are compared with.
MODEL = {
    name: f"results/{name}/models/{'prior' if study['model']['kind'] == 'network' else 'cannon'}.h5"
    for name, study in config["studies"].items()
}
THEORY = {
    name: f"results/{name}/models/theory.fits" if study["model"]["kind"] == "network" else []
    for name, study in config["studies"].items()
}


rule label:
    input:
        store="results/{study}/spectra/{role}/{item}.h5",
        model=lambda w: MODEL[w.study],
        theory=lambda w: THEORY[w.study],
        clip="results/{study}/models/reference_clip.fits",
        bootstrap=lambda w: expand(
            "results/{study}/models/bootstrap/{replicate}.h5",
            study=w.study,
            replicate=range(config["studies"][w.study]["validation"]["bootstrap"]),
        ),
        starts=lambda w: starts_of(w.study),
    output:
        labels="results/{study}/labels/{role}/{item}.fits",
    log:
        "logs/{study}/label/{role}_{item}.log",
    benchmark:
        "logs/{study}/label/{role}_{item}.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(120),
    params:
        labels=lambda w: config["studies"][w.study]["labels"],
        code=code_of("spectra", "models", "validation"),
    message:
        "{wildcards.study}: labelling the {wildcards.role} stars, {wildcards.item}"
    script:
        "../scripts/label/label.py"


rule catalog:
    input:
        survey="results/{study}/catalogs/survey.fits",
        reference="results/{study}/catalogs/reference.fits",
        matches="results/{study}/catalogs/matches.fits",
        survey_set="results/{study}/catalogs/survey_set.fits",
        reference_set="results/{study}/catalogs/reference_set.fits",
        clip="results/{study}/models/reference_clip.fits",
        reference_labels=gather.reference("results/{{study}}/labels/reference/{scatteritem}.fits"),
        calibration="results/{study}/validation/calibration.json",
        survey_labels=gather.survey("results/{{study}}/labels/survey/{scatteritem}.fits"),
        rejected_survey_catalog="results/{study}/catalogs/rejected_survey_catalog.fits",
        rejected_reference_catalog="results/{study}/catalogs/rejected_reference_catalog.fits",
        rejected_crossmatch="results/{study}/catalogs/rejected_crossmatch.fits",
        rejected_select="results/{study}/catalogs/rejected_select.fits",
        rejected_reference=gather.reference("results/{{study}}/spectra/reference/{scatteritem}.rejected.fits"),
        rejected_survey=gather.survey("results/{{study}}/spectra/survey/{scatteritem}.rejected.fits"),
    output:
        fits="results/{study}/catalog.fits",
        parquet="results/{study}/catalog.parquet",
        ledger="results/{study}/ledger.parquet",
        fates=report(
            "results/{study}/fates.csv",
            caption="../report/fates.rst",
            category="{study}",
            subcategory="tables",
            labels={"table": "fates"},
        ),
        distance="results/{study}/labels/distance_sample.fits",
    log:
        "logs/{study}/catalog.log",
    benchmark:
        "logs/{study}/catalog.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/models.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        source=SOURCE,
        data=data_of_study,
        study=lambda w: config["studies"][w.study],
        seed=config["seed"],
        code=code_of("catalogs", "validation"),
    message:
        "{wildcards.study}: catalogue and ledger"
    script:
        "../scripts/label/catalog.py"
