"""Any tuned model from a folder, scored on both axes against its base: one's own point on the plot."""

from pathlib import Path
from typing import Any

from mixsd.engine import models
from mixsd.errors import DataError
from mixsd.knowledge import Probe, Task
from mixsd.method import Workbench
from mixsd.student import Student


class Checkpoint:
    """A model that was trained elsewhere; `model` names its base.

    Args:
        name: The method's name in run ids.
        path: A model folder with weights, config and tokenizer.

    Raises:
        DataError: There is no such folder.
    """

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        self.path = Path(path).expanduser()
        if not (self.path / "config.json").exists():
            raise DataError(
                f"method.path={path} is no model folder (no config.json); "
                "give one that save_pretrained wrote, with its tokenizer"
            )
        self.identity: dict[str, Any] = {"weights": models.folder_fingerprint(self.path)}

    def edit(self, task: Task, student: Student, bench: Workbench) -> Student:
        """The model of the folder, read with the base's template options."""
        return models.load_folder(self.path, student.template_options)

    def asked(self, probe: Probe, task: Task) -> Probe:
        """The probe as it is."""
        return probe
