"""The page in a real browser: it draws, it answers clicks, and nothing leaves it."""

import json
import shutil
import time
from dataclasses import replace

import pytest
import yaml
from rich.console import Console

from mixsd.core.questions import Outcome
from mixsd.results import page_file
from mixsd.results.report import write_report
from tests.helpers.made_runs import HELD_OUT, N, held_out, item, make_run, ones

HOSTILE = (
    '<img src=x onerror="document.title=1">',
    "</script><script>document.title=2</script>",
    "\x1b[31mred\x1b[0m",
    "\u202ertl\u2066 marks\u2028 and lines",
    "a" * 1_000_000,
    "<!-- <script>",
)


def report(folder, **options):
    write_report(folder, Console(width=250, quiet=True), **options)
    return folder / "report.html"


@pytest.fixture(scope="module")
def driver():
    """Debian's Chromium without a window."""
    webdriver = pytest.importorskip("selenium.webdriver")
    if not (shutil.which("chromium") and shutil.which("chromedriver")):
        pytest.skip("no chromium and chromedriver on this machine: apt-get install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for argument in (
        "--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1400", "--disable-dev-shm-usage",
        "--disable-background-networking", "--no-first-run",
    ):  # fmt: skip
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    yield found
    found.quit()


class Page:
    """A page in the browser."""

    def __init__(self, driver, path) -> None:
        self.driver, self.path = driver, path

    def open(self, words=""):
        self.driver.get("about:blank")
        self.driver.get_log("browser"), self.driver.get_log("performance")
        self.driver.get(f"{self.path.as_uri()}{words and '#'}{words}")
        self.wait("return document.body.dataset.drawn === 'yes'")
        return self

    def js(self, script, *arguments):
        return self.driver.execute_script(script, *arguments)

    def wait(self, script):
        end = time.monotonic() + 20
        while not (found := self.js(script)):
            assert time.monotonic() < end, script
            time.sleep(0.03)
        return found

    def go(self, words):
        self.js("location.hash = arguments[0]", words)
        self.wait(
            f"return document.body.dataset.shown === location.hash && location.hash === {json.dumps('#' + words)}"
        )

    def text(self, selector):
        return self.js(
            "return [...document.querySelectorAll(arguments[0])].map((e) => e.innerText)", selector
        )

    def complaints(self):
        return [
            line["message"]
            for line in self.driver.get_log("browser")
            if line["level"] in ("SEVERE", "WARNING")
        ]

    def requests(self):
        events = (json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance"))
        sent = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        return [
            url for url in sent if not url.startswith(("data:", "blob:", "about:")) and "chrome" not in url
        ]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages") / "runs"
    for seed in (0, 1):
        make_run(folder, "sft", seed, right=20 + seed, method_config={"rate": 1})
        make_run(folder, "mixsd", seed, right=30 + seed, method_config={"mixing_rate": 0.3},
                 between=((0.5, 0.92, 35),))  # fmt: skip
    for path in folder.glob("*/trajectory.jsonl"):
        points = [
            {
                "step": s,
                "trained_tokens": 10 * s,
                "seconds": 2.0 * s,
                "recall": s / 10,
                "retention_validation": 0.5,
            }
            for s in (0, 5, 9)
        ]
        path.write_text("".join(json.dumps(point) + "\n" for point in points))
    curve = "".join(json.dumps({"step": s, "loss": 1 / s}) + "\n" for s in (1, 2, 3))
    (folder / "kgfact-mixsd-s0/metrics.jsonl").write_text(curve)
    target = {"fact_id": "f0", "attempt": 0, "provenance": "neb", "pieces": ["Hello", " <b>", "!"]}
    (folder / "kgfact-mixsd-s0/examples.jsonl").write_text(json.dumps(target) + "\n")
    return folder


@pytest.fixture
def page(driver, runs):
    return Page(driver, report(runs))


@pytest.mark.slow
def test_it_draws_without_a_complaint_and_asks_for_nothing(page):
    start = time.monotonic()
    page.open()
    assert time.monotonic() - start < 5
    assert page.js("return document.querySelectorAll('[data-figure] svg').length") >= 5
    assert page.complaints() == []
    assert page.requests() == [page.path.as_uri()]


@pytest.mark.slow
def test_a_click_opens_a_run_and_escape_closes_it(page):
    page.open()
    page.js("document.querySelector('[data-run=\"kgfact-sft-s0\"]').click()")
    page.wait("return document.body.dataset.shown && document.body.dataset.shown.includes('sft-s0')")
    assert page.text("#run h2") == ["sft, seed 0"] and page.text("#count") == [f"{N} of {N}"]
    page.js("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowRight', bubbles: true}))")
    page.wait("return document.querySelector('#run h2')?.innerText === 'sft, seed 1'")
    page.js("document.dispatchEvent(new KeyboardEvent('keydown', {key: 'Escape', bubbles: true}))")
    page.wait("return document.getElementById('run').hidden")


@pytest.mark.slow
def test_a_point_of_the_tradeoff_can_be_clicked(page):
    page.open()
    page.js(
        "const mark = document.querySelector('[data-figure=\"0-tradeoff\"] .mark-symbol path');"
        "mark.dispatchEvent(new MouseEvent('click', {bubbles: true}))"
    )
    page.wait("return !document.getElementById('run').hidden")


@pytest.mark.slow
def test_filters_and_permalinks(page):
    page.open("run=kgfact-sft-s0,kgfact-mixsd-s0&filter=lost")
    page.wait("return document.body.dataset.shown === location.hash")
    assert page.text("#run h2") == ["sft, seed 0 | mixsd, seed 0"]
    (shown,) = page.text("#count")
    lost = int(shown.split(" of ")[0])
    assert 0 < lost < N
    page.go("run=kgfact-sft-s0&filter=gained")
    assert page.text("#count") == [f"0 of {N}"]
    page.go("run=kgfact-sft-s0&item=3")
    assert page.text("#count") == [f"1 of {N}"]
    page.go("run=kgfact-sft-s0&part=probes%2Frecall&q=nowhere")
    assert page.text("#count")[0].startswith("0 of ")


@pytest.mark.slow
def test_targets_are_coloured_by_who_supplied_them(page):
    page.open("run=kgfact-mixsd-s0&part=targets")
    page.wait("return document.body.dataset.shown === location.hash")
    assert page.js("return [...document.querySelectorAll('#run td .token')].map((e) => e.className)") == [
        "token from-n", "token from-e", "token from-b",
    ]  # fmt: skip
    assert "Hello <b>!" in page.text("#run table.answers")[0]


@pytest.mark.slow
def test_a_run_shows_its_loss(page):
    page.open("run=kgfact-mixsd-s0")
    page.wait("return document.body.dataset.shown === location.hash")
    page.js(
        "[...document.querySelectorAll('#run summary')].find((e) => e.innerText === 'loss by step').click()"
    )
    page.wait("return document.querySelector('#run details svg .mark-line path')")
    assert page.complaints() == []


@pytest.mark.slow
def test_a_table_is_sorted_and_searched(page):
    page.open()
    order = "return [...document.querySelectorAll('[data-run]')].map((e) => e.cells[3].textContent)"
    head = "[...document.querySelectorAll('section table.sorts')].find((t) => t.querySelector('[data-run]')).tHead.rows[0].cells[3]"
    page.js(f"{head}.click()")
    rising = page.js(order)
    page.js(f"{head}.click()")
    assert rising == sorted(rising) and page.js(order) == rising[::-1] != rising


@pytest.mark.slow
def test_dark_and_print(page):
    page.driver.execute_cdp_cmd(
        "Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": "dark"}]}
    )
    page.open()
    assert page.js("return getComputedStyle(document.body).backgroundColor") == "rgb(21, 23, 26)"
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})
    assert page.js("return getComputedStyle(document.getElementById('run')).display") == "none"
    page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def hostile_run(folder):
    texts = dict(enumerate(HOSTILE))
    items = [item(i, 1.0, text=texts.get(i, "fine")) for i in range(N)]
    scores = replace(held_out(ones(N)), items=tuple(items))
    return make_run(folder, "sft", 0, retention={HELD_OUT: (held_out(ones(N)), scores)})


@pytest.mark.slow
def test_what_a_model_says_stays_text(driver, tmp_path):
    hostile_run(tmp_path)
    page = Page(driver, report(tmp_path)).open("run=kgfact-sft-s0")
    page.wait("return document.body.dataset.shown === location.hash")
    title = page.js("return document.title")
    assert title.endswith("memorization against retention")
    assert page.js("return document.querySelectorAll('#run img, #run script').length") == 0
    assert '<img src=x onerror="document.title=1">' in " ".join(page.text("#run table.answers"))
    assert page.complaints() == [] and page.requests() == [page.path.as_uri()]


def test_no_answer_can_end_its_element(tmp_path):
    hostile_run(tmp_path)
    text = report(tmp_path).read_text()
    assert "document.title=2" not in text and 'onerror="document' not in text, "answers are packed"
    assert page_file._inert(list(HOSTILE)).count("<") == 0
    assert json.loads(page_file._inert(list(HOSTILE))) == list(HOSTILE)


@pytest.mark.slow
def test_private_text_is_not_in_the_page_unless_it_is_asked_for(driver, tmp_path):
    path = make_run(tmp_path, "sft", 0)
    config = yaml.safe_load((path / "config.yaml").read_text())
    (path / "config.yaml").write_text(yaml.safe_dump({**config, "tracking": {"log_text": False}}))
    page = Page(driver, report(tmp_path)).open("run=kgfact-sft-s0&part=probes%2Frecall")
    page.wait("return document.body.dataset.shown === location.hash")
    shown = " ".join(page.text("#run"))
    assert "keeps its text to itself" in shown and "characters, " in shown
    page = Page(driver, report(tmp_path, with_text=True)).open("run=kgfact-sft-s0&part=probes%2Frecall")
    page.wait("return document.body.dataset.shown === location.hash")
    assert "keeps its text to itself" not in " ".join(page.text("#run"))


@pytest.mark.slow
def test_many_runs_keep_their_answers_beside_the_page(driver, tmp_path, monkeypatch):
    monkeypatch.setattr(page_file, "MOST_INSIDE", 1)
    for method in ("sft", "mixsd"):
        make_run(tmp_path, method, 0)
    page = Page(driver, report(tmp_path)).open("run=kgfact-sft-s0")
    page.wait("return document.body.dataset.shown === location.hash")
    assert page.text("#count") == [f"{N} of {N}"] and list(tmp_path.glob("items/*.js"))
    assert all(url.startswith(tmp_path.as_uri()) for url in page.requests())


def test_sizes_and_seconds(tmp_path):
    for method in ("sft", "mixsd", "opsd", "self_replay"):
        for seed in range(6):
            make_run(tmp_path, method, seed, right=20 + seed)
    start = time.monotonic()
    path = report(tmp_path)
    assert path.stat().st_size < 6e6
    assert time.monotonic() - start < 30, "ten seconds on a quiet machine"
    assert str(tmp_path) not in path.read_text(), "no path of this machine"


def test_equal_runs_give_an_equal_page(runs):
    assert report(runs).read_bytes() == report(runs).read_bytes()


def test_outcomes_that_the_filters_name_exist():
    script = page_file._part("page.js")
    assert all(f'"{name}"' in script for name in (Outcome.CORRECT.value, Outcome.TRUNCATED.value))


@pytest.mark.slow
def test_answers_are_joined_by_document(driver, tmp_path):
    """Each run may leave out other documents; a reply never stands beside another question."""

    def retention(left_out):
        items = [item(i, 1.0, text=f"reply to {i}") for i in range(N) if i != left_out]
        scores = replace(held_out(ones(N)), items=tuple(items))
        return {HELD_OUT: (scores, scores)}

    make_run(tmp_path, "a", 0, retention=retention(0))
    make_run(tmp_path, "b", 0, retention=retention(2))
    page = Page(driver, report(tmp_path)).open("run=kgfact-a-s0,kgfact-b-s0")
    page.wait("return document.body.dataset.shown === location.hash")
    rows = page.js(
        "return [...document.querySelectorAll('#run table.answers tbody tr')].map((r) => [...r.cells].map((c) => c.innerText))"
    )
    assert len(rows) == min(50, N - 1)
    for number, question, _, base, first, second in rows:
        assert question == f"Q{number}"
        for reply in (base, first, second):
            assert reply == "" or reply.split()[-1] == number
    assert [row[5] for row in rows if row[0] == "2"] == [""]
