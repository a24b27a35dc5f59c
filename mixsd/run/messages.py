"""What the command line says: configuration mistakes in one line, and how a run ended."""

import re
from collections.abc import Sequence
from pathlib import Path

from hydra.errors import MissingConfigException
from omegaconf import DictConfig, OmegaConf

from mixsd.core.errors import did_you_mean

CONF = Path(__file__).parents[2] / "conf"
# Read from the text of Hydra 1.3's messages; another version may word them differently.
_OVERRIDE = re.compile(r"Could not (?:override|append to config.*?) '?([\w.@/]+)'?")
_ENTRY = re.compile(r"full_key: ([\w.]+)")
FOOTER = """\
method=opsd method.divergence: forward_kl = KL(teacher || student), reverse_kl = KL(student || teacher), jsd.
What each method minimises, and what it costs: docs/methods.md. Every config file explains its keys.

Settings with their defaults (group.setting=value):"""
_NO_NAME = re.compile(r"[-+]?[\d.]+(?:e[-+]?\d+)?|true|false|null", re.IGNORECASE)
_GROUP = re.compile(r"Could not (?:override|find) '?([\w/]+)(?:/([\w.-]+))?'?")


def config_error(error: Exception) -> str:
    """One line for a mistake that Hydra found while composing, with the nearest allowed word."""
    text = " ".join(str(error).split()) or " ".join(str(error.__cause__).split())
    if isinstance(error, MissingConfigException):
        found = _GROUP.search(text)
        group, _, name = (error.missing_cfg_file or "").rpartition("/")
        options = sorted(name for name in error.options or [] if not name.startswith("_"))
        if found and name and options:
            return f"{group}={name} is unknown; {did_you_mean(name, options)}allowed: {', '.join(options)}"
    found = _OVERRIDE.search(text)
    if found:
        key = found.group(1)
        known = known_keys()
        entry = _ENTRY.search(str(error.__cause__))
        within = next((name for name in known if entry and entry[1].startswith(f"{name}.")), "")
        if within and entry:
            return f"{within} takes its entries one by one, with a plus: +{entry[1]}=<value>"
        group = key.rpartition(".")[0]
        allowed = [name for name in known if name.rpartition(".")[0] == group] or known
        if not group:
            allowed = sorted([*allowed, *(folder.name for folder in CONF.iterdir() if folder.is_dir())])
        if key in known:
            return f"{key} is no setting of the chosen {group}; leave it out, or choose another {group}"
        hint = did_you_mean(key, allowed) or did_you_mean(key, known)
        return f"{key} is not a setting; {hint}allowed: {', '.join(allowed)}"
    return text


def group_mistake(arguments: Sequence[str]) -> str:
    """A line for a group that is given a number or a truth value, which Hydra takes for a bug; or ''."""
    for argument in arguments:
        group, equals, value = argument.partition("=")
        files = (CONF / group).glob("[!_]*.yaml") if group.isidentifier() else ()
        options = sorted(path.stem for path in files)
        if equals and options and _NO_NAME.fullmatch(value):
            return (
                f"{group}={value} is one value for a whole group; give {group}.<setting>=<value>, "
                f"or an option: {', '.join(options)}"
            )
    return ""


def help_text(about: str) -> str:
    """What `--help` says before the config: the groups and their options.

    Hydra's own help loads every option of every group twice.

    Args:
        about: The first lines.
    """
    folders = sorted(path for path in CONF.rglob("*") if path.is_dir() and path.name != "hydra")
    options = {
        folder.relative_to(CONF).as_posix(): ", ".join(
            sorted(path.stem for path in folder.glob("[!_]*.yaml"))
        )
        for folder in folders
    }
    groups = "\n".join(f"  {group}: {names}" for group, names in options.items())
    return f"{about.strip()}\n\nGroups, each with its options (group=option):\n{groups}\n\n{FOOTER}\n"


def known_keys() -> list[str]:
    """Every key that some config file sets, with its group: `method.mixing_rate`, `seed`, ..."""
    keys = set()
    for key, value in OmegaConf.load(CONF / "config.yaml").items():
        if key not in ("defaults", "hydra"):
            keys |= {f"{key}.{inner}" for inner in value} if isinstance(value, DictConfig) else {str(key)}
    for folder in CONF.iterdir():
        if folder.is_dir() and folder.name not in ("experiment", "hydra"):
            for file in folder.glob("*.yaml"):
                own = set(map(str, OmegaConf.load(file))) - {"_target_", "defaults"}
                keys |= {f"{folder.name}.{key}" for key in own}
    return sorted(keys)


def describe_run(run_dir: Path, state: str) -> str:
    """How a run ended, in one line."""
    from mixsd.results import schema  # pandas and pydantic must not slow `--help`

    results = schema.load(run_dir)
    panel = results.retention.generated
    line = f"{state}: recall {results.recall:.2f} over {results.probes['recall'].right.n} facts"
    if panel.ratio is not None:
        found = panel.ratio_interval
        line += f", retention {panel.ratio:.2f}" + (f" [{found[0]:.2f}, {found[1]:.2f}]" if found else "")
    return f"{line}; {run_dir}"
