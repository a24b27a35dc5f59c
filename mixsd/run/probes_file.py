"""The probes of a run as a file, so that a later run can ask what this one taught."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mixsd.core.questions import PREVIOUSLY_TAUGHT, RECALL, Probe, Question, described
from mixsd.core.store import read_json, write_json

FILE = "probes.json"


def write_probes(run_dir: Path, probes: Sequence[Probe]) -> None:
    """Write all that was asked, with what was accepted."""
    write_json(run_dir / FILE, described(probes))


def previously_taught(run_dir: Path) -> list[Probe]:
    """What a run and those before it taught, as probes of split `previously_taught`."""
    written = read_json(run_dir / FILE)
    rivals = [tuple(names) for names in written["rivals"]]
    found = []
    for item in written["items"]:
        # Both, so that a chain of runs goes on asking what its first one taught.
        if item["split"] in (RECALL, PREVIOUSLY_TAUGHT):
            # With the run's name: this run's own probes may have the same ids.
            name = f"{run_dir.name} / {item['id']}"
            question = _question(item["question"], rivals[item["rivals"]])
            found.append(Probe(name, PREVIOUSLY_TAUGHT, question, unit=name, kind=item["kind"]))
    return found


def _question(record: Mapping[str, Any], rivals: tuple[str, ...]) -> Question:
    history = tuple((user, assistant) for user, assistant in record["history"])
    typed = {"accepted": tuple(record["accepted"]), "rivals": rivals, "history": history}
    return Question(**{**record, **typed})
