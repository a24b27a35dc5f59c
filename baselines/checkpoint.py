"""Any tuned model from a folder, scored on both axes against its base: one's own point on the plot."""

from collections.abc import Sequence

from mixsd.core.errors import ModelUnavailableError
from mixsd.core.files import Folder
from mixsd.core.questions import Fact
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.load import load_folder
from mixsd.lm.sources import is_adapter, model_files
from mixsd.methods.contract import Edited, Workbench


class Checkpoint:
    """A model that was trained elsewhere; `model` names its base.

    Args:
        name: The method's name in run ids.
        path: A model folder with weights, config and tokenizer, or the directory of a run that kept one.

    Raises:
        ModelUnavailableError: The folder holds no model.
    """

    def __init__(self, name: str, path: Folder) -> None:
        self.name = name
        kept = path.path / "model"
        self.path = kept if kept.is_dir() else path.path
        model_files(path.setting, self.path)  # looks whether there is a model, before any work
        if is_adapter(self.path):
            raise ModelUnavailableError(
                f"{path.setting}={self.path} is a LoRA adapter; merge it into its base, or give it as "
                "model.name"
            )

    def edit(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Edited:
        """The model of the folder, its prompts rendered as the base's; it was taught elsewhere."""
        loaded = load_folder(self.path, model.template.rendering)
        # The base's own weights in another folder are no change: drift would be measured for nothing.
        return Edited(loaded, changed=not loaded.same_weights(model))
