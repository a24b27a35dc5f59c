"""The page: one file that opens anywhere, and asks nobody for anything."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from mixsd.core.store import write_text
from mixsd.results.cells import shown as as_text
from mixsd.results.cells import sorted_by
from mixsd.results.figures import VEGA_LITE
from mixsd.results.page_data import Answers, run_data
from mixsd.results.runs import tuned_only
from mixsd.results.sections import Report
from mixsd.results.tables import PRIMARY
from mixsd.results.target_view import LEGEND

MOST_INSIDE = 40
"""With more runs, answers lie in `items/` beside the page, and are read when they are asked for."""


def write_page(path: Path, report: Report, name: str, with_text: bool) -> None:
    """Write the page of a report.

    Args:
        path: The file.
        report: What it says.
        name: Of the folder that was read.
        with_text: Whether answers are shown also of runs that keep their text to themselves.
    """
    answers = Answers(with_text)
    runs: dict[str, dict[str, Any]] = {}
    figures, shown_sections = {}, []
    groups = report.groups.values()
    for number, (section, group) in enumerate(zip(report.sections, groups, strict=True)):
        tuned = tuned_only(group)
        keys = []
        for run in tuned:
            key = _unused(run.results.run_id, runs)
            own = run_data(run, tuned, with_text)
            runs[key] = {**own, "id": key, "group": number, "items": answers.add(run)}
            keys.append(key)
        drawn = {f"{number}-{figure.name}": figure for figure in section.figures}
        for key, figure in drawn.items():
            # A map opens a document in the first run of each of the first methods.
            figures[key] = {"spec": figure.spec, "rows": figure.rows, "runs": _one_a_label(keys, runs)}
        shown_sections.append(
            {
                **vars(section),
                "figures": [{"key": key, "caption": figure.caption} for key, figure in drawn.items()],
                "runs": [{**runs[key], "key": key, "steps": runs[key]["training"]["steps"]} for key in keys],
            }
        )
    data = {
        "runs": runs,
        "figures": figures,
        "provenance": {letter.lower(): name for letter, (name, style) in LEGEND.items() if style},
    }
    beside = len(runs) > MOST_INSIDE
    if beside:
        _write_beside(path.parent / "items", answers.packed)
    page = render(
        "report.html",
        heading=f"{name}: memorization against retention",
        sections=shown_sections,
        css=_part("page.css"),
        script=_part("page.js"),
        library=_library(),
        data=_inert(data),
        items={} if beside else answers.packed,
        beside=beside,
        overview=report.overview,
        family=report.family,
        notes=report.notes,
        primary=PRIMARY,
    )
    write_text(path, page)


def render(name: str, **shown: Any) -> str:
    """A page from its template; in HTML everything is escaped but our own script, style and data."""
    environment = Environment(
        loader=PackageLoader("mixsd.results", "page"), autoescape=name.endswith(".html")
    )
    environment.filters["cell"] = as_text
    environment.filters["by"] = sorted_by
    environment.filters["markdown"] = lambda value: " ".join(as_text(value).replace("|", "\\|").split())
    return environment.get_template(f"{name}.j2").render(shown)


def _inert(data: Any) -> str:
    """JSON that no parser of HTML can take for an end of its element."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _unused(key: str, taken: Mapping[str, Any]) -> str:
    """The same run may have been measured in two ways."""
    number = 2
    found = key
    while found in taken:
        found, number = f"{key}-{number}", number + 1
    return found


def _one_a_label(keys: Sequence[str], runs: Mapping[str, Mapping[str, Any]]) -> list[str]:
    first: dict[str, str] = {}
    for key in keys:
        first.setdefault(runs[key]["label"], key)
    return list(first.values())[:4]


def _write_beside(folder: Path, packed: Mapping[str, str]) -> None:
    folder.mkdir(exist_ok=True)
    for key, payload in packed.items():
        script = f'(window.MIXSD_ITEMS ??= {{}})["{key}"] = "{payload}";\n'
        write_text(folder / f"{key}.js", script)


def _part(name: str) -> str:
    return files("mixsd.results").joinpath("page", name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    import vl_convert

    bundle = vl_convert.javascript_bundle(vl_version=VEGA_LITE)  # type: ignore[call-arg] - it has a default
    # An end tag within a string of the library would end the page's script.
    return bundle.replace("</script", "<\\/script")
