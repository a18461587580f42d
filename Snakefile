# From the survey archives to every figure: `snakemake --cores N` makes the studies named by config key `run`.
import sys
from pathlib import Path

from snakemake.utils import min_version

min_version("9.0")
sys.path.insert(0, str(Path(workflow.basedir) / "workflow"))

from labeltransfer.settings import code_versions, validate_config


configfile: "config/config.yaml"


validate_config(config, Path(workflow.basedir) / "config/schemas/config.schema.yaml", workflow.configfiles)

CODE = code_versions()
SOURCE = config["source"]


wildcard_constraints:
    study="[a-z][a-z0-9_]*",
    role="reference|survey",
    item=r"\d+-of-\d+",
    replicate=r"\d+",
    number=r"\d\d",


scattergather:
    survey=config["chunks"]["survey"],
    reference=config["chunks"]["reference"],


include: "workflow/rules/archive.smk"
include: "workflow/rules/match.smk"
include: "workflow/rules/spectra.smk"
include: "workflow/rules/cannon.smk"
include: "workflow/rules/validate.smk"
include: "workflow/rules/label.smk"
include: "workflow/rules/figures.smk"
# include: "workflow/rules/ab_initio.smk"


rule all:
    input:
        expand("results/{study}/complete.json", study=config["run"]),
    default_target: True


rule ho2017:
    input:
        "results/ho2017/complete.json",
