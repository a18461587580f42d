# From two catalogues to a reference set and a survey set, with a reason for every row left out.


rule crossmatch:
    input:
        survey="results/{study}/catalogs/survey.fits",
        reference="results/{study}/catalogs/reference.fits",
    output:
        matches="results/{study}/catalogs/matches.fits",
        stars="results/{study}/catalogs/stars.fits",
        rejected="results/{study}/catalogs/rejected_crossmatch.fits",
    log:
        "logs/{study}/crossmatch.log",
    benchmark:
        "logs/{study}/crossmatch.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        match_radius=lambda w: config["studies"][w.study]["match_radius"],
        same_star_radius=lambda w: config["studies"][w.study]["same_star_radius"],
        code=code_of("catalogs"),
    message:
        "{wildcards.study}: cross-match within {params.match_radius} arcsec"
    script:
        "../scripts/match/crossmatch.py"


rule select:
    input:
        survey="results/{study}/catalogs/survey.fits",
        reference="results/{study}/catalogs/reference.fits",
        matches="results/{study}/catalogs/matches.fits",
        stars="results/{study}/catalogs/stars.fits",
    output:
        reference_set="results/{study}/catalogs/reference_set.fits",
        survey_set="results/{study}/catalogs/survey_set.fits",
        distance="results/{study}/catalogs/distance.fits",
        rejected="results/{study}/catalogs/rejected_select.fits",
    log:
        "logs/{study}/select.log",
    benchmark:
        "logs/{study}/select.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 2
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        labels=lambda w: {
            **config["studies"][w.study]["labels"],
            **config["studies"][w.study].get("extra_labels", {}),
        },
        pipeline=lambda w: config["studies"][w.study]["pipeline"],
        cuts=lambda w: config["studies"][w.study]["cuts"],
        distance=lambda w: config["studies"][w.study]["distance"],
        hold_out=lambda w: config["studies"][w.study]["hold_out"],
        groups=lambda w: config["studies"][w.study]["validation"].get("groups"),
        seed=config["seed"],
        code=code_of("catalogs"),
    message:
        "{wildcards.study}: reference set and survey set"
    script:
        "../scripts/match/select.py"


# Stars that were observed more than once are in no set more than once: here with all their spectra.
rule repeats_set:
    input:
        survey="results/{study}/catalogs/survey.fits",
        stars="results/{study}/catalogs/stars.fits",
        survey_set="results/{study}/catalogs/survey_set.fits",
    output:
        stars="results/{study}/catalogs/repeats_set.fits",
    log:
        "logs/{study}/repeats_set.log",
    benchmark:
        "logs/{study}/repeats_set.tsv"
    priority: BY_STUDY
    conda:
        "../../envs/archive.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(30),
    params:
        most=2000,
        seed=config["seed"],
        code=code_of("catalogs"),
    message:
        "{wildcards.study}: stars that were observed more than once"
    script:
        "../scripts/match/repeats.py"
