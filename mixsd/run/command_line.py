"""The command line as people type it, before Hydra reads it: flags anywhere, values with signs in them."""

import shlex
from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from mixsd.run.messages import group_mistake

_SWEEP = ("-m", "--multirun")
_ALONE = ("--cfg", "-c", "--info", "-i", "--run", "-r")
_SIGNS = "=~()[]{},:; #&$%'\"\\"
_CHDIR = "hydra.job.chdir"


def arranged(arguments: Sequence[str]) -> list[str]:
    """The arguments with `-m` first, wherever it stood: Hydra reads overrides in one piece."""
    sweep = [argument for argument in arguments if argument in _SWEEP]
    return [*sweep[:1], *(argument for argument in arguments if argument not in _SWEEP)]


def mistake(arguments: Sequence[str]) -> str:
    """A line for what Hydra would take for something else, or say in its own words; ''."""
    flags = [argument.partition("=")[0] for argument in arguments if argument.startswith("-")]
    alone = next((flag for flag in flags if flag in _ALONE), "")
    if alone and set(_SWEEP) & set(flags):
        return f"{alone} shows one job and {_SWEEP[0]} makes many: give one of them"
    if "--resolve" in flags and not {"--cfg", "-c"} & set(flags):
        return "--resolve goes with --cfg job"
    overrides = [argument for argument in arguments if not argument.startswith("-") and "=" in argument]
    return group_mistake(overrides) or next(filter(None, map(_one, overrides)), "")


def _one(argument: str) -> str:
    key, _, value = argument.partition("=")
    if key.lstrip("+") == _CHDIR and value.lower() in ("true", "1", "yes", "on"):
        return f"{argument} is not offered: paths are those of where the command is given; leave it out"
    try:
        OverridesParser.create().parse_override(argument)
    except HydraException:
        if any(value.count(opens) != value.count(closes) for opens, closes in ("[]", "{}", "()")):
            return f"{key}={value} holds a bracket without its other half; close it, or quote the value"
        signs = [sign for sign in dict.fromkeys(value) if sign in _SIGNS or not sign.isascii()]
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        quoted = shlex.quote(f'{key}="{escaped}"')
        why = (
            f"holds {' '.join(map(repr, signs))}, which Hydra reads otherwise" if signs else "cannot be read"
        )
        return f"{key}={value} {why}; put it in quotes twice: {quoted}"
    return ""
