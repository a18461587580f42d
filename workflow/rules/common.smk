# What rules share.
import re
from functools import cache
from importlib.metadata import version as version_of

from labeltransfer.files.places import find_fact, recorded_name
from labeltransfer.sources.listing import own_folder, own_listing, own_marks, own_tables

# Studies, and the releases that they are made from -> their place in `run`, counted from the last.
PLACE = {
    key: place
    for place, name in enumerate(reversed(config["run"]), start=1)
    for key in (name, *config["studies"][name]["releases"].values())
}


def by_study(wildcards):
    """Priority of a job: the studies that `run` names first come first, and their figures are there before the rest."""
    return PLACE.get(getattr(wildcards, "study", None) or getattr(wildcards, "release", None), 0)


# Before 9.17 Snakemake takes numbers alone: there all studies go side by side.
BY_STUDY = by_study if tuple(map(int, version_of("snakemake").split(".")[:2])) >= (9, 17) else 0


def code_of(*floors):
    """Digests of the floors of the library that a script calls: it runs again when one of them changes."""
    return {floor: CODE[floor] for floor in floors}


def drawn(name, figure, shows):
    """Outputs of a rule that draws a figure, its caption `workflow/report/<name>.rst`, and its line in the report."""
    path = f"results/{{study}}/figures/{name.rpartition('/')[2]}"
    return {
        "pdf": f"{path}.pdf",
        "png": report(
            f"{path}.png",
            caption=f"../report/{name}.rst",
            category="{study}",
            subcategory="figures",
            labels={"figure": figure, "shows": shows},
        ),
    }


def fact(path):
    """A table of facts as the input of a rule: the caller's own or the library's, and without a module's prefix."""
    return local(find_fact(path))


def starts_of(study):
    """The table of starting points of a study, if it has one."""
    table = config["studies"][study]["starts"]
    return fact(table) if table else []


def published_numbers(study):
    """The table of the numbers that a study's paper prints, if it re-does one."""
    paper = config["studies"][study]["paper"]
    return fact(f"resources/published/{paper}.csv") if paper else []


def read_by_rule(path):
    """Inputs of the rule that makes a file."""
    for one in workflow.rules:
        if one.is_producer(path):
            return sorted(str(name) for name in one.expand_input(one.get_wildcards(path))[0])
    return []


def silent_files(study, prefix):
    """CSV and JSON on the way to the final files, which cannot say what they were made from -> what that is.

    Both by the names under which they are recorded, without the prefix that a module's user may have given.
    """
    made, seen, todo = {}, set(), [*FIGURES[study], *TABLES[study]]
    while todo:
        path = todo.pop()
        # Chunks are all made alike: there may be thousands, and one is followed for all.
        kind = re.sub(r"\d+-of-\d+", "", path)
        if kind not in seen and path.startswith(f"results/{study}/"):
            seen.add(kind)
            inputs = sorted(recorded_name(file) for file in read_by_rule(prefix + path))
            todo += inputs
            if path.endswith((".csv", ".json")):
                made[path] = inputs
    return dict(sorted(made.items()))


def survey_mark(study, side):
    """A text that is another one when the module of a survey of one's own is."""
    from labeltransfer.surveys.registry import mark_of  # late: numbers and tables would be loaded with it

    return mark_of(config["studies"][study]["releases"][side]) if SOURCE in ("local", "registry") else ""


@cache
def datasets():
    """The table of datasets of the source."""
    from labeltransfer.sources.datasets import read_datasets

    return read_datasets(find_fact(config["archives"][SOURCE]["datasets"]))


def release_parts(release):
    """What a release comes in."""
    from labeltransfer.sources.datasets import parts_of

    return parts_of(datasets(), release)


def archive_of(file):
    """A part of the release that comes in a file."""
    from labeltransfer.sources.datasets import archives

    return archives(datasets())[file]


def data_of(releases):
    """Licence and citation of what was fetched: for all that is made of it."""
    rows = (
        [row for row in datasets().values() if row.release in releases]
        if SOURCE in ("public", "registry")
        else []
    )
    return [
        {name: getattr(row, name) for name in ("release", "dataset", "licence", "citation")} for row in rows
    ]


def data_of_study(w):
    """The same of the releases of a study."""
    return data_of(config["studies"][w.study]["releases"].values())


# The settings of the preparation by study, what a study says of its own before what is said for all.
PREPARATION = {
    name: merged(config["preparation"], study.get("preparation", {}))
    for name, study in config["studies"].items()
}

# The grid is replaced as a whole: linear and logarithmic ones have keys of their own.
GRID = {name: study.get("grid", config["grid"]) for name, study in config["studies"].items()}


def windows_of(w):
    """Tables of the wavelengths that a study masks."""
    return [fact(table) for table in PREPARATION[w.study]["windows"]]


for where, setting in {"preparation": config["preparation"], **PREPARATION}.items():
    if setting["resolution"] and setting["resolution"]["table"] == "archive" and SOURCE != "mock":
        key = where if where == "preparation" else f"studies.{where}.preparation"
        raise WorkflowError(
            f"{key}.resolution.table: 'archive' is the mock's own table, and the source is {SOURCE}. Name a table of the "
            "fibres' R (fibre, wavelength, resolution), or null for spectra as they are"
        )


def fibres_by(study, preparation):
    """The table of the fibres' resolution, where spectra are brought to one line width."""
    setting = preparation["resolution"]
    if not setting:
        return []
    if setting["table"] == "archive":
        return f"results/archive/mock/{config['studies'][study]['releases']['survey']}/fibres_mock.csv"
    return fact(setting["table"])


def fibres_of(w):
    """The same by what a study says of its own."""
    return fibres_by(w.study, PREPARATION[w.study])


def noise_of(w):
    """The typical noise, where Eq. 1 weights pixels by it."""
    typical = PREPARATION[w.study]["normalisation"]["errors"] == "typical"
    return f"results/{w.study}/spectra/typical_noise.fits" if typical else []


def residuals_of(w):
    """The noise model of spectra without errors, where theirs follow from it."""
    wanted = PREPARATION[w.study]["missing_errors"] == "residuals"
    return f"results/{w.study}/spectra/residual_noise.fits" if wanted else []


def repeats_set_of(w):
    """Stars that were observed more than once, where errors are calibrated on them."""
    chosen = config["studies"][w.study]["validation"].get("errors_from", "reference") == "repeats"
    return f"results/{w.study}/catalogs/repeats_set.fits" if chosen else []


def repeats_of(w):
    """Their labels."""
    items = ITEMS["repeats"] if repeats_set_of(w) else []
    return [f"results/{w.study}/labels/repeats/{item}.fits" for item in items]


def quick_model(w):
    """The model that choices are tried with, many times over: in place of networks one that is linear in the labels."""
    model = config["studies"][w.study]["model"]
    return {**model, "order": 1, "terms": None, "forms": None} if model["kind"] == "network" else model


# Of one's own only the parts with another spectrum in them are read again, and models are trained again where the
# reference set is another one: which these are is known when the stars have been chosen. Catalogue and sets may be
# younger than what was made of parts and stars that are the same.
def settled(study, role):
    """Marks of the parts of the chosen spectra of one's own, and of their set, when they have been chosen."""
    marks = checkpoints.chosen_spectra.get(study=study, role=role).output[0]
    return dict(line.split() for line in Path(marks).read_text().splitlines())


def chosen_stars(study, role):
    """The set of stars, when it has been chosen."""
    settled(study, role)
    return ancient(f"results/{study}/catalogs/{role}_set.fits")


def when_chosen(w):
    """No file, but not before the stars have been chosen."""
    settled(w.study, "reference")
    return []


def fetched_part(w):
    """The ledger of a part, when it is known whether it is to be made again."""
    settled(w.study, w.role)
    return f"results/{w.study}/archive/{w.role}/{w.item}.fits"


# The reference set as models see it.
REFERENCE_SET = "results/{study}/catalogs/" + (
    "settled_set.fits" if SOURCE == "local" else "reference_set.fits"
)
