"""Checkpoints of a training: only complete ones count, and only the newest is kept."""

import shutil
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from mixsd.core.store import write_json
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import HasState, Method

STATE = "method.safetensors"
"""The state of a method that has one (`HasState`)."""
COMPLETE = "complete.json"
"""Written last: transformers writes its checkpoints file by file, so a folder without it may be torn."""


def last_checkpoint(scratch: Path) -> Path | None:
    """The newest complete checkpoint that an interrupted training left, or None."""
    return max((path.parent for path in scratch.glob(f"*/{COMPLETE}")), key=checkpoint_step, default=None)


def checkpoint_step(checkpoint: Path) -> int:
    """The step after which a checkpoint was made."""
    # As a number: as text, 100 would come before 20.
    return int(checkpoint.name.rpartition("-")[2])


def complete(checkpoint: Path, method: Method, report: dict[str, Any]) -> None:
    """Finish a checkpoint that the trainer wrote, and delete the older ones beside it.

    Args:
        checkpoint: Its folder.
        method: Its state, where it has one, is saved too.
        report: What the training did so far, kept in `COMPLETE`.
    """
    state = method.state_dict() if isinstance(method, HasState) else {}
    if state:
        save_file(state, checkpoint / STATE)
    write_json(checkpoint / COMPLETE, report)
    # Only now: until the new one is complete, the older one is what a resume reads.
    for older in checkpoint.parent.glob("checkpoint-*"):
        if older != checkpoint:
            shutil.rmtree(older)


def restore_method(checkpoint: Path, method: Method, model: ChatModel) -> None:
    """Give a method the state that a checkpoint holds, if it holds one."""
    if isinstance(method, HasState) and (checkpoint / STATE).exists():
        method.load_state_dict(load_file(checkpoint / STATE), model)
