"""Any tuned model from a folder, scored on both axes against its base: one's own point on the plot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mixsd.core.questions import Fact
from mixsd.lm import load as models
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Edited, Workbench


class Checkpoint:
    """A model that was trained elsewhere; `model` names its base.

    Args:
        name: The method's name in run ids.
        path: A model folder with weights, config and tokenizer, or the directory of a run that kept one.

    Raises:
        ModelUnavailableError: There is no such folder.
    """

    def __init__(self, name: str, path: str) -> None:
        self.name = name
        given = Path(path).expanduser()
        self.path = given / "model" if (given / "model").is_dir() else given
        self.identity: dict[str, Any] = {"weights": models.folder_fingerprint("method.path", self.path)}

    def edit(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Edited:
        """The model of the folder, read with the base's template options; it was taught elsewhere."""
        return Edited(models.load_folder(self.path, model.template_options), changed=True)
