"""The report of a run in a real browser: every figure, table and caption is there and can be looked at."""

import html
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.workspaces import with_results_of

SMALL = Path(__file__).with_name("small.yaml")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FIGURES = [f"results/ho2017/figures/figure_{number:02d}.png" for number in range(1, 13)]
FIGURES += ["results/ho2017/figures/choices.png"]
TABLES = [f"results/ho2017/{name}.csv" for name in ("fates", "published_vs_here")]
TABLES += [
    f"results/ho2017/validation/{name}.csv"
    for name in ("cross_validation", "recovery_mock", "choices", "repeats", "errors", "orders")
]

# Goes through the report as a reader would, by its own links, and writes what it sees into the page.
VISIT = """
<script>
const seen = {pages: {}, images: {}, errors: []};
window.onerror = (message) => seen.errors.push(String(message));
const wait = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
const visible = () => document.body.innerText;
// Pixels that are drawn on, of all diagrams on the page.
function drawn() {
    let count = 0;
    for (const canvas of document.querySelectorAll("canvas")) {
        const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
        for (let at = 3; at < data.length; at += 4) count += data[at] > 0;
    }
    return count + document.querySelectorAll("svg path").length;
}
async function click(text) {
    const link = [...document.querySelectorAll("a")].find((one) => one.innerText.trim() === text);
    if (!link) { seen.errors.push("no link " + text); return; }
    link.click();
    await wait(300);
}
async function visit() {
    await wait(1000);
    await click("Workflow");
    seen.pages.workflow = visible();
    seen.graph = drawn();
    await click("Statistics");
    await wait(500);
    seen.pages.statistics = visible();
    seen.statistics = drawn();
    await click("About");
    seen.pages.about = visible();
    for (const [path, entry] of Object.entries(results)) {
        app.setView({navbarMode: "resultinfo", resultPath: path});
        await wait(100);
        seen.pages[path] = visible();
        if (entry.mime_type.startsWith("image/")) {
            app.setView({navbarMode: "resultinfo", resultPath: path, content: "img", contentPath: entry.data_uri});
            await wait(200);
            const image = [...document.querySelectorAll("img")].find((one) => one.src === entry.data_uri);
            if (image) { seen.images[path] = [image.naturalWidth, image.clientWidth]; }
        }
    }
    const tables = results["results/ho2017/tables.html"].data_uri;
    app.setView({navbarMode: "menu", content: "html", contentPath: tables});
    await wait(500);
    seen.frames = [...document.querySelectorAll("iframe")].filter((one) => one.src === tables).length;
    for (const part of ["figures", "tables"]) {
        app.setView({navbarMode: "menu"});
        await wait(100);
        app.setView({navbarMode: "subcategory", category: "ho2017", subcategory: part});
        await wait(200);
        seen.pages[part] = visible();
    }
}
function note() {
    const text = document.createElement("pre");
    text.id = "seen";
    text.innerText = JSON.stringify(seen);
    document.body.appendChild(text);
}
visit().catch((error) => seen.errors.push(String(error))).finally(note);
</script>
"""


def browser():
    """A headless browser, installed if that can be, or the reason why there is none."""
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found:
        return found, ""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None, f"no {BROWSERS[0]} here, and no right to install it with apt-get"
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "chromium"]
    for command in (["apt-get", "update"], install):
        done = subprocess.run(
            command,
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=900,
        )
        if done.returncode:
            return None, f"apt-get could not install chromium: {done.stdout.strip()[-300:]}"
    found = shutil.which("chromium")
    return found, "" if found else "apt-get installed no chromium"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    program, reason = browser()
    if not program:
        pytest.skip(reason)
    home = tmp_path_factory.mktemp("browser")

    def look(page, *options):
        command = [program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += [f"--user-data-dir={home}", "--window-size=1400,1000", "--virtual-time-budget=60000"]
        run = subprocess.run([*command, *options, page.as_uri()], capture_output=True, text=True, timeout=300)
        assert run.returncode == 0, run.stderr[-3000:]
        return run.stdout

    return look


@pytest.fixture(scope="module")
def made(workspace, small_run):
    return with_results_of(small_run, workspace("report"))


@pytest.fixture(scope="module")
def report(made):
    made.succeed("--report", "report.html", "--configfile", SMALL)
    return made.folder / "report.html"


@pytest.fixture(scope="module")
def seen(report, chromium, tmp_path_factory):
    """What the browser saw on its way through the report."""
    before, end, after = report.read_text().rpartition("</body>")
    page = tmp_path_factory.mktemp("visit") / "report.html"
    page.write_text(before + VISIT + end + after)
    found = re.search(r'<pre id="seen">(.*?)</pre>', chromium(page, "--dump-dom"), re.S)
    assert found, "the browser did not come to the end of the report"
    return json.loads(html.unescape(found[1].replace("<br>", "\n")))


def test_no_script_fails(seen):
    assert seen["errors"] == []


def test_front_page_says_what_this_is(seen):
    page = seen["pages"]["workflow"]
    assert "mock archive: simulated spectra, not observations" in page
    assert "Seed 20170208" in page


def test_graph_of_the_rules_and_run_times(seen, report):
    assert seen["graph"] > 3000
    assert seen["statistics"] > 3000
    text = report.read_text()
    for rule in ("mock_spectra", "prepare", "train", "label", "catalog", "figure_12"):
        assert len(re.findall(rf'"rule": "{rule}"', text)) >= 2, rule


@pytest.mark.parametrize("path", FIGURES)
def test_every_figure_is_shown_with_its_caption(seen, root, path):
    width, shown = seen["images"][path]
    assert width > 300
    assert shown > 200
    folder = "checks" if "choices" in path else "ho2017"
    caption = (root / "workflow/report" / folder / Path(path).with_suffix(".rst").name).read_text()
    title = re.match(r"\*\*(.*?)\*\*", caption, re.S)[1].replace("\n", " ")
    assert title in seen["pages"][path].replace("\n", " ")


@pytest.mark.parametrize("path", TABLES)
def test_every_table_is_listed_with_its_caption(seen, root, path):
    caption = (root / "workflow/report" / Path(path).with_suffix(".rst").name).read_text()
    assert caption.split(".")[0].replace("\n", " ").split("`")[0] in seen["pages"][path].replace("\n", " ")
    assert Path(path).stem.replace("_", " ") in seen["pages"]["tables"]


def test_tables_can_be_read_in_the_report(seen, made, chromium):
    assert seen["frames"] == 1
    page = html.unescape(chromium(made.folder / "results/ho2017/tables.html", "--dump-dom"))
    for path in TABLES:
        assert f"<h2>{Path(path).stem.replace('_', ' ')}</h2>" in page
    n_row = len((made.folder / "results/ho2017/published_vs_here.csv").read_text().splitlines())
    assert page.count("<tr>") >= n_row
    assert "label distance above the cut" in page


def test_figures_are_listed_in_order(seen):
    numbers = re.findall(r"^(\d\d)\b", seen["pages"]["figures"], re.M)
    assert numbers == [f"{number:02d}" for number in range(1, 13)]


def test_it_looks_like_something(report, chromium, tmp_path):
    chromium(report, f"--screenshot={tmp_path / 'front.png'}")
    with Image.open(tmp_path / "front.png") as image:
        assert image.size == (1400, 1000)
        pixels = np.asarray(image.convert("L"), dtype=float)
    assert pixels.std() > 20
    assert pixels[:, 700:].std() > 2


def test_the_report_is_whole_in_itself(report):
    text = report.read_text()
    # All that is loaded is inside: no address of a script, style or picture leads out of the file.
    assert not re.findall(r'<(?:script|img|iframe)[^>]* src="https?:', text)
    assert not re.findall(r'<link[^>]* href="https?:', text)
    assert len(re.findall(r"data:image/png;[^,]*base64,", text)) >= len(FIGURES)


def test_as_a_zip_too(made):
    made.succeed("--report", "report.zip", "--configfile", SMALL)
    names = subprocess.run(
        ["python3", "-m", "zipfile", "-l", "report.zip"], cwd=made.folder, capture_output=True, text=True
    )
    assert "report.html" in names.stdout
