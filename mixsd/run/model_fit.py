"""Whether a model has what training and method want of it, found out before its weights are loaded."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mixsd.core.errors import SettingError
from mixsd.lm.load import config_of, without_weights
from mixsd.methods.contract import EditsToo, problems_of, reads_base
from mixsd.run.trainable import see_that_something_is_left, see_that_they_are_there


def see_that_it_fits(built: Mapping[str, Any], cache_dir: Path) -> None:
    """Look at the model, where training or method want something of it.

    Args:
        built: The objects of the groups `model`, `training`, `method` and `task`.
        cache_dir: Where models that are converted are kept.

    Raises:
        SettingError: The model or the task does not have it.
    """
    training, method = built["training"], built["method"]
    if training.lora and isinstance(method, EditsToo) and method.starts_elsewhere and reads_base(method):  # type: ignore[arg-type]
        raise SettingError(
            f"training.lora={training.lora}: the base model that this method reads would be the edited one; "
            "leave training.lora out, or train by a method that does not read it"
        )
    if not (training.only or training.lora_avoids or hasattr(method, "problems")):
        return
    network = without_weights(config_of(built["model"], cache_dir))
    if training.only:
        see_that_they_are_there(training.only, training.lora is not None, network)
    if training.lora_avoids:
        see_that_something_is_left(training.lora_avoids, training.only, network)
    if said := problems_of(method, built["task"].facts, network):
        raise SettingError(said)
