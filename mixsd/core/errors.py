"""Errors a user can cause. Each message says what was given, what is allowed and what to do."""

import math
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TypeVar

Number = TypeVar("Number", int, float)


class MixSDError(Exception):
    """Base of every error that is the user's to mend; commands print it in one line and exit 2."""


class SettingError(MixSDError, ValueError):
    """A setting that is unknown, of the wrong type, or outside its range."""


class Diverged(SettingError):
    """A training whose loss is no finite number any more; the same settings would give the same."""


class DataError(MixSDError, ValueError):
    """A data file that is missing or does not say what it should."""


class ModelUnavailableError(MixSDError, OSError):
    """A model that cannot be had on this machine."""


class StoreError(MixSDError, RuntimeError):
    """A run directory or cache that cannot be used as it is."""


class HelperLost(MixSDError, RuntimeError):
    """A process that shared the work of this one ended before it was done."""


class TrackingError(MixSDError, RuntimeError):
    """W&B did not take a mirror of what stands in the local files."""


class Terminated(KeyboardInterrupt):
    """The process was asked to end (SIGTERM), as a scheduler does before it takes the machine away."""


class Interrupted(KeyboardInterrupt):
    """A run was stopped by its user; the message says how it goes on."""


def at_least(key: str, value: Number, least: Number) -> Number:
    """Pass `value` through.

    Raises:
        SettingError: It is smaller than `least`, or not finite.
    """
    if not least <= value < math.inf:
        raise SettingError(f"{key}={value} is out of range; allowed: {least} or more")
    return value


def within(key: str, value: float, low: float, high: float) -> float:
    """Pass `value` through.

    Raises:
        SettingError: It is outside [low, high].
    """
    if not low <= value <= high:
        raise SettingError(f"{key}={value} is out of range; allowed: {low} to {high}")
    return value


def one_of(key: str, value: str, allowed: Iterable[str]) -> str:
    """Pass `value` through.

    Raises:
        SettingError: It is none of `allowed`; the message offers the nearest.
    """
    choices = list(allowed)
    if value in choices:
        return value
    raise SettingError(
        f"{key}={value} is unknown; {did_you_mean(value, choices)}allowed: {', '.join(choices)}"
    )


def did_you_mean(given: str, allowed: Iterable[str]) -> str:
    """A question that offers the nearest allowed word; '' where none is near."""
    near = get_close_matches(given, list(allowed), n=1)
    return f"did you mean {near[0]}? " if near else ""
