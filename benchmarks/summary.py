"""The table of the benchmarks, its targets, plots, and the block of numbers in the documentation."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from measure import growth_exponent

from labeltransfer.figures.style import (
    CANNON,
    FEATURE,
    PAGE_WIDTH,
    PIPELINE,
    mark_mock,
    new_figure,
    save,
    use_style,
)
from labeltransfer.files.atomic import atomic_path

COLUMNS = ["stage", "code", "n_star", "n_pix", "value", "unit", "floor", "ratio"]
OURS = "labeltransfer"
GRID = "labeltransfer, grid scatter"
PEERS = ("thecannon", "annieslasso")
RELEASE = 5_000_000  # spectra of a later release, to extrapolate to
BOOTSTRAP = 20
COSTS = {"CPU-ns per star-pixel", "CPU-ms per star", "ms per star", "GB", "s"}
BEGIN, END = "<!-- numbers: begin -->", "<!-- numbers: end -->"

# What is wanted: words, stage, code, what of that row, relation, bound.
TARGETS = (
    ("training, 9,952 stars: times the matrix product", "train paper", OURS, "floors", "<=", 8),
    ("training: TheCannon's time over ours, per core", "train", "thecannon", "ratio", ">=", 10),
    ("labelling, seven starts: TheCannon's time over ours", "label", "thecannon", "ratio", ">=", 200),
    ("stars labelled per second, from memory", "label wall", OURS, "rate", ">=", 10_000),
    (
        "444,228 stars from the store to the catalogue [s]",
        "store to catalogue wall",
        OURS,
        "value",
        "<=",
        300,
    ),
    ("20 bootstrap models of 9,952 stars [s]", "bootstrap wall", OURS, "value", "<=", 300),
    ("astropy's reading over our preparing", "prepare", "astropy, reading only", "ratio", ">=", 1),
    ("memory of training, 9,952 stars [GB]", "train paper memory", OURS, "value", "<=", 4),
    ("memory of every other rule [GB]", "rules memory", OURS, "value", "<=", 2),
)


def row(stage, code, n_star, n_pix, value, unit, floor=np.nan, ratio=np.nan):
    """One line of the table."""
    return dict(zip(COLUMNS, (stage, code, n_star, n_pix, value, unit, floor, ratio), strict=True))


def add_ratios(rows):
    """Set the ratio of other codes: their cost over ours in the row of the same stage and unit."""
    ours = {(r["stage"], r["unit"]): r["value"] for r in rows if r["code"] == OURS}
    for r in rows:
        own = ours.get((r["stage"], r["unit"]))
        if r["code"] != OURS and own and r["unit"] in COSTS:
            r["ratio"] = r["value"] / own
    return rows


def growth_rows(table, n_pix):
    """Exponents of time and memory against the number of stars; cost and memory at the largest number."""
    rows = []
    for stage, part in table.groupby("stage", sort=False):
        last = part.loc[part["n_star"].idxmax()]
        upper = upper_decade(part)
        if len(upper) > 1:
            for what, column in (("time", "cpu"), ("memory", "peak")):
                exponent = growth_exponent(upper["n_star"], upper[column])
                rows.append(
                    row(f"growth of {what}, {stage}", OURS, last["n_star"], n_pix, exponent, "exponent")
                )
        cost = last["cpu"] / last["n_star"] * 1e3
        name = stage if "rule" in stage else f"{stage}, largest"
        rows.append(row(name, OURS, last["n_star"], n_pix, cost, "CPU-ms per star"))
        rows.append(row(f"{name} memory", OURS, last["n_star"], n_pix, last["peak"], "GB"))
    return rows


def upper_decade(part):
    """The points of a stage from a tenth of its largest number of stars on: start-up costs hide growth below."""
    return part[part["n_star"] >= 0.1 * part["n_star"].max()]


def check_targets(table, results, quick=False):
    """Add the memory of the rules to the table, and write which targets are met; quick numbers cannot tell."""
    rules = table[
        table["stage"].str.contains(r"rules? memory|rule with bootstrap memory") & (table["unit"] == "GB")
    ]
    if len(rules):
        highest = rules.loc[rules["value"].idxmax()]
        worst = row("rules memory", OURS, highest["n_star"], highest["n_pix"], highest["value"], "GB")
        table = pd.concat([table, pd.DataFrame([worst])], ignore_index=True)
    lines = []
    for words, stage, code, what, relation, bound in TARGETS:
        found = table[(table["stage"] == stage) & (table["code"] == code)]
        if len(found):
            value = measured(found.iloc[0], what)
            met = value <= bound if relation == "<=" else value >= bound
            verdict = "too small to tell" if quick else "met" if met else "missed"
            lines.append((words, value, f"{relation} {bound:,}", verdict))
        else:
            lines.append((words, np.nan, f"{relation} {bound:,}", "not measured"))
    targets = pd.DataFrame(lines, columns=["target", "measured", "wanted", "verdict"])
    targets.to_csv(Path(results) / "targets.csv", index=False)
    return table


def measured(found, what):
    """One quantity of a row: its value, ratio, distance from its floor, or rate per second."""
    if what == "floors":
        return found["value"] / found["floor"]
    if what == "rate":
        return 1e3 / found["value"]
    return found[what]


def show(table, rates, results):
    """Print the machine, the table and the targets."""
    print(machine_line(rates))
    shown = table.assign(floors=table["value"] / table["floor"])
    network = Path(results) / "network.csv"
    with pd.option_context("display.width", 220, "display.max_rows", None, "display.max_colwidth", 60):
        print(shown.to_string(index=False, float_format=lambda value: f"{value:.4g}", na_rep=""))
        print(pd.read_csv(Path(results) / "targets.csv").to_string(index=False, float_format="{:.4g}".format))
        if network.exists():
            print(pd.read_csv(network).to_string(index=False, float_format="{:.4g}".format, na_rep=""))
    print(f"written to {results}")


def machine_line(rates):
    """The machine in a sentence."""
    return (
        f"{rates['processor']}, {rates['cores']} cores, load {rates['load']:.1f} before and "
        f"{rates['load_after']:.1f} after, {rates['date']}; per core: matrix products "
        f"{rates['gemm_f64'] / 1e9:.1f} (float64) and {rates['gemm_f32'] / 1e9:.1f} (float32) GFLOP/s; memory "
        f"{rates['memory'] / 1e9:.1f} GB/s; disk: reads {rates['disk_read'] / 1e9:.2f}, writes "
        f"{rates['disk_write'] / 1e9:.2f}, cached reads {rates['cached_read'] / 1e9:.1f} GB/s; "
        f"Python {rates['python']}, numpy {rates['numpy']}"
    )


# -------------------------------------------------------------------------------------------------------- plots


@use_style()
def draw(table, growing, results):
    """Write the plots of growth, and of costs beside floors and peers, as PDF and PNG."""
    figure = new_figure(PAGE_WIDTH, 4.0)
    time_axes, memory_axes = figure.subplots(1, 2)
    for number, (stage, part) in enumerate(growing.groupby("stage", sort=False)):
        part = part.sort_values("n_star")
        upper = upper_decade(part)
        label = stage
        if len(upper) > 1:
            label += rf"  $N^{{{growth_exponent(upper['n_star'], upper['cpu']):.2f}}}$"
        style = {"color": f"C{number}", "marker": "osD^v<>P"[number % 8], "markersize": 3, "linewidth": 1}
        time_axes.plot(part["n_star"], part["cpu"], label=label, **style)
        memory_axes.plot(part["n_star"], part["peak"], **style)
    memory_axes.axhline(2, color=FEATURE, linewidth=1, linestyle="--")
    memory_axes.set(ylabel="peak memory (GB)", ylim=(0, max(2.2, 1.1 * growing["peak"].max())), xscale="log")
    time_axes.set(ylabel="CPU time (s)", xscale="log", yscale="log")
    for axes in (time_axes, memory_axes):
        axes.set_xlabel("stars")
    figure.legend(*time_axes.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=7)
    mark_mock(figure)
    save(figure, Path(results) / "growth.pdf", Path(results) / "growth.png")

    figure = new_figure(PAGE_WIDTH, 3.4)
    path_axes, code_axes = figure.subplots(1, 2, width_ratios=(1.15, 1))
    stages = ["read", "grid", "normalise", "write", "store read", "label", "catalogue rule"]
    chosen = table[(table["code"] == OURS) & (table["unit"] == "CPU-ms per star")].set_index("stage")
    stages = [stage for stage in stages if stage in chosen.index]
    place = np.arange(len(stages))[::-1]
    path_axes.barh(place, chosen.loc[stages, "value"], color=PIPELINE, height=0.6)
    path_axes.plot(chosen.loc[stages, "floor"], place, "k|", markersize=14, label="floor")
    astropy = table[(table["stage"] == "read") & (table["code"] == "astropy")]["value"]
    path_axes.plot(astropy, place[:1], "D", color=CANNON, markersize=4, label="astropy")
    path_axes.set(yticks=place, yticklabels=stages, xlabel="CPU time per star (ms)")
    path_axes.legend(loc="lower right", fontsize=7)
    compared = {
        "train": "train (ns/pixel)",
        "label one start": "label, 1 start (ms)",
        "label": "label, 7 starts (ms)",
    }
    for code, color, marker in zip((OURS, *PEERS), (PIPELINE, CANNON, FEATURE), "oDs", strict=True):
        found = table[(table["code"] == code) & table["stage"].isin(compared)].drop_duplicates("stage")
        height = found["stage"].map({stage: -number for number, stage in enumerate(compared)})
        if len(found):
            code_axes.plot(found["value"], height, marker, color=color, label=code)
        if code == OURS:
            code_axes.plot(found["floor"], height, "k|", markersize=14, label="floor")
    code_axes.set(yticks=-np.arange(3), yticklabels=compared.values(), ylim=(-2.5, 0.9), xscale="log")
    code_axes.set_xlabel("CPU time per star")
    code_axes.legend(loc="upper left", ncols=2, fontsize=7)
    mark_mock(figure)
    save(figure, Path(results) / "summary.pdf", Path(results) / "summary.png")


# --------------------------------------------------------------------------------------------------- the page


def page(path, results):
    """Replace the block of numbers in a page of the documentation by those of the last run."""
    results, path = Path(results), Path(path)
    if not (results / "summary.csv").exists():
        raise SystemExit(
            f"{results}/summary.csv: no numbers yet; run the benchmarks first, with --scale full"
        )
    text = path.read_text(encoding="utf-8")
    if not (BEGIN in text and END in text):
        raise SystemExit(f"{path}: expected the lines {BEGIN} and {END} around the numbers")
    table = pd.read_csv(results / "summary.csv")
    rates = json.loads((results / "machine.json").read_text())
    targets = pd.read_csv(results / "targets.csv")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    with atomic_path(path) as temporary:
        block = numbers(table, targets, rates)
        if (results / "network.csv").exists():
            block += "\n\n" + network_numbers(pd.read_csv(results / "network.csv"))
        temporary.write_text(f"{before}{BEGIN}\n{block}\n{END}{after}", encoding="utf-8")
    print(block)


def numbers(table, targets, rates):
    """The block of numbers, in Markdown."""
    parts = [
        f"Printed by `python benchmarks/compare.py --scale {rates['scale']}` on mock data: {machine_line(rates)}.",
        "### One star, step by step",
        _path_table(table),
        "### Beside other codes",
        _codes_table(table),
        "### Against the number of stars",
        _growth_table(table),
        "### What was wanted",
        _markdown(
            ["", "measured", "wanted", ""], [[a, _short(b), c, d] for a, b, c, d in targets.to_numpy()]
        ),
        f"### {RELEASE:,} spectra",
        _release_table(table, rates),
    ]
    return "\n\n".join(parts)


def network_numbers(table):
    """Rates of the second study's networks, from the command of its own."""
    lines = [
        [r["stage"], r["code"], r["unit"], *(_short(r[name]) for name in ("value", "floor", "ratio"))]
        for r in table.to_dict("records")
    ]
    head = ["stage", "code", "unit", "value", "floor", "ratio"]
    return "### Networks\n\nWritten by `python benchmarks/network_rates.py`.\n\n" + _markdown(head, lines)


def _value(table, stage, code=OURS, column="value"):
    found = table[(table["stage"] == stage) & (table["code"] == code)]
    return float(found[column].iloc[0]) if len(found) else np.nan


def _short(value):
    return "" if not np.isfinite(value) else f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _markdown(head, lines):
    lines = [head, ["---"] * len(head), *lines]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def _path_table(table):
    lines = []
    for stage, floor in (
        ("read", "unzipping alone"),
        ("grid", ""),
        ("normalise", "matrix products of the bands"),
        ("write", "plain writing"),
        ("store read", "plain reading"),
        ("label", "one matrix product"),
        ("catalogue rule", ""),
    ):
        value, least = _value(table, stage), _value(table, stage, column="floor")
        lines.append([stage, _short(value), _short(least), _short(value / least), floor])
    reading = _short(_value(table, "read", "astropy"))
    return (
        _markdown(["", "CPU-ms per star", "floor", "times the floor", "what the floor is"], lines)
        + f"\n\nastropy alone needs {reading} CPU-ms to read the same gzipped file."
    )


def _codes_table(table):
    stages = ["train", "label one start", "label", "train memory", "scatter over truth"]
    stages += ["label error, teff", "label z width, teff"]
    codes = [code for code in (OURS, *PEERS) if (table["code"] == code).any()]
    lines = []
    for stage in stages:
        unit = table.loc[table["stage"] == stage, "unit"]
        cells = []
        for code in codes:
            ratio = _value(table, stage, code, "ratio")
            cells.append(
                _short(_value(table, stage, code)) + (f" ({ratio:.3g}x)" if np.isfinite(ratio) else "")
            )
        lines.append([stage, unit.iloc[0] if len(unit) else "", *cells])
    return _markdown(["", "unit", *codes], lines)


def _growth_table(table):
    lines = []
    for stage in table.loc[table["stage"].str.startswith("growth of time, "), "stage"]:
        name = stage.removeprefix("growth of time, ")
        found = table[table["stage"] == stage].iloc[0]
        memory = _value(table, f"{name} memory" if "rule" in name else f"{name}, largest memory")
        exponents = _value(table, stage), _value(table, f"growth of memory, {name}")
        lines.append(
            [name, f"{found['n_star']:,.0f}", *(f"{value:.2f}" for value in exponents), _short(memory)]
        )
    return _markdown(["", "up to", "exponent of time", "of memory", "peak memory [GB]"], lines)


def _release_table(table, rates):
    """What a later release costs, at the costs per star of this run."""
    hours = RELEASE / 1e3 / 3600
    lines = []
    steps = (
        ("read and prepare", "prepare rule", 1),
        ("cross-match", "cross-match rule", 1),
        ("select", "select rule", 1),
        ("label", "label rule", 1),
        (f"{BOOTSTRAP} bootstrap models", "label rule, per bootstrap model", BOOTSTRAP),
        ("catalogue", "catalogue rule", 1),
    )
    costs = [factor * hours * _value(table, stage) for _, stage, factor in steps]
    for (words, *_), cost in zip(steps, costs, strict=True):
        lines.append([words, f"{_short(cost)} core-hours"])
    lines.append(["together", f"{_short(sum(costs))} core-hours"])
    total = _value(table, "survey store", column="n_star")
    lines.append(
        ["spectra to fetch", f"{_short(rates['archive_bytes'] * RELEASE / 1e9)} GB in {RELEASE:,} requests"]
    )
    lines.append(["stores", f"{_short(_value(table, 'store size') * RELEASE / 1e6)} GB"])
    for words, stage in (("label tables", "label tables"), ("catalogue and ledger", "catalogue and ledger")):
        lines.append([words, f"{_short(_value(table, stage) / total * RELEASE)} GB"])
    return _markdown(["", "cost"], lines)
