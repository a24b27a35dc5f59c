"""Makers for tests of mixed targets."""

from typing import Any

from mixsd.mixing.mixsd import MixSD
from mixsd.mixing.targets import MixSettings

BUDGET = 12


def mix(**changes: Any) -> MixSettings:
    values: dict[str, Any] = {
        "mixing_rate": 0.5,
        "temperature": 1.0,
        "top_k": None,
        "max_attempts": 4,
        "reject": ("context_reference",),
        "expert_wording": "answer",
        "seed": 0,
    }
    return MixSettings(**{**values, **changes})


def mixsd(**changes: Any) -> MixSD:
    values: dict[str, Any] = {
        "mixing_rate": 0.5,
        "temperature": 1.0,
        "max_attempts": 4,
        "decode_batch_size": 4,
        "max_new_tokens": BUDGET,
    }
    return MixSD("mixsd", **{**values, **changes})
