# From the survey archives to every figure: `snakemake --cores N` makes the studies named by config key `run`.
import sys
from pathlib import Path

from snakemake.utils import min_version, update_config

min_version("9.0")
# Not workflow.basedir, which is another folder when workflow/Snakefile includes this file.
ROOT = Path(workflow.current_basedir.get_path_or_uri(secret_free=True))
sys.path.insert(0, str(ROOT / "workflow"))

from labeltransfer.settings import code_versions, typed, validate_config


configfile: "config/config.yaml"


report: "workflow/report/workflow.rst"


update_config(config, typed(workflow.config_settings.config))
validate_config(config, ROOT / "config/schemas/config.schema.yaml", workflow.configfiles)

CODE = code_versions()
SOURCE = config["source"]


# Rules that train and test models are of one kind of study each; the others serve both.
CANNON = "|".join(n for n, study in config["studies"].items() if study["model"]["kind"] == "cannon") or "(?!)"
NETWORK = (
    "|".join(n for n, study in config["studies"].items() if study["model"]["kind"] == "network") or "(?!)"
)


wildcard_constraints:
    study="[a-z][a-z0-9_]*",
    role="reference|survey",
    item=r"\d+-of-\d+",
    number=r"\d\d",


scattergather:
    survey=config["chunks"]["survey"],
    reference=config["chunks"]["reference"],
    pixels=config["chunks"]["pixels"],


include: "workflow/rules/common.smk"
include: "workflow/rules/archive.smk"
include: "workflow/rules/match.smk"
include: "workflow/rules/spectra.smk"
include: "workflow/rules/cannon.smk"
include: "workflow/rules/network.smk"
include: "workflow/rules/validate.smk"
include: "workflow/rules/label.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/ab_initio.smk"
include: "workflow/rules/release.smk"


rule all:
    default_target: True
    input:
        [FINAL[study] for study in config["run"]],


rule ho2017:
    input:
        FINAL.get("ho2017", []),


rule ting2017:
    input:
        FINAL.get("ting2017", []),


rule ab_initio:
    input:
        "results/ab_initio/spectra_r1800.fits",
