"""From a composed Hydra config to checked objects. No model is loaded here.

The constructors are the schema: every key of a config group must be a parameter of the class it
configures, with a value of the annotated type. All mistakes are reported at once.
"""

import dataclasses
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mixsd.core.errors import DataError, MixSDError, SettingError, did_you_mean, one_of, within
from mixsd.core.questions import EARLIER, Probe, Task, TaskView
from mixsd.core.store import content_hash, read_jsonl
from mixsd.lm.load import ModelSettings, fingerprint
from mixsd.methods.contract import Editor, Method
from mixsd.mixing.targets import CHECKS
from mixsd.results.aggregate import RetentionSuite
from mixsd.results.gate import GateSettings, unmeasurable
from mixsd.run.drift import DriftSettings
from mixsd.run.messages import CONF
from mixsd.run.preparation import read_examples
from mixsd.run.train import TrainingSettings
from mixsd.trackers.wandb import TrackingSettings

RESULTS_VERSION = 4
"""Part of every run's hash; raised only when a golden number changes."""

COSMETIC = ("experiment_name", "runs_dir", "cache_dir", "data_root", "tracking")
GROUPS: Mapping[str, type | None] = {
    "model": ModelSettings,
    "task": None,
    "method": None,
    "training": TrainingSettings,
    "retention": None,
    "tracking": TrackingSettings,
    "gate": GateSettings,
    "drift": DriftSettings,
}
"""Config groups and the class each configures (None: the group's own `_target_`)."""
PLAIN_KEYS = ("seed", "experiment_name", "runs_dir", "cache_dir", "data_root")
ENGINE_KEYS: Mapping[str, Mapping[str, Any]] = {
    "task": {
        "only_facts_of": str | None,
        "only_missed": bool,
        "log_text": bool,
        "reject": list[str],
        "budget": dict[str, int],
    }
}
"""Keys of a group that other parts of the config or the engine read, with their types, whatever class the
group configures."""
SEEDS = 2**32 - 1
"""The highest that every generator takes."""
OUTSIDE_HASH = {
    "task": ("only_facts_of", "log_text", "path", "data_root"),
    "method": ("targets", "path", "prompts"),
    "training": ("checkpoint_every",),
    "retention": ("data_root", "include", "prompts", "allow_code_execution"),
}
"""Paths, whose content is in the hash instead, and what cannot change a number."""


@dataclass(frozen=True)
class RunConfig:
    """A checked config with its objects built.

    `only_facts` holds the ids of the facts that may be trained on (None: all); `only_missed` leaves out those
    that the base model knows.
    """

    model: ModelSettings
    task: Task
    method: Method | Editor
    training: TrainingSettings
    retention: RetentionSuite
    tracking: TrackingSettings
    gate: GateSettings
    drift: DriftSettings
    seed: int
    cache_dir: Path
    run_dir: Path
    run_id: str
    resolved: dict[str, Any]
    model_fingerprint: str
    only_facts: frozenset[str] | None
    only_missed: bool


def compose_run(overrides: list[str]) -> RunConfig:
    """Compose the project's config with overrides, as `run.py` does, and check it.

    Raises:
        HydraException: An override fits no config.
        MixSDError: As `read_config`.
    """
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return read_config(compose("config", overrides=overrides))


def read_config(config: DictConfig) -> RunConfig:
    """Check a composed config and build what it names.

    Raises:
        SettingError: Unknown keys, wrong types, values out of range, a file or folder that is missing; all of
            them in one message.
        ModelUnavailableError: The model cannot be had on this machine.
    """
    problems: list[str] = []
    built: dict[str, Any] = {}

    def attempt(step: Callable[[], Any]) -> Any:
        try:
            return step()
        except (MixSDError, OmegaConfBaseException) as error:
            problems.append(str(error).splitlines()[0])
            return None

    attempt(lambda: _check_top_level(config))
    if not problems:
        attempt(lambda: _check_engine_keys(config))
    if problems:  # other keys are made of these
        raise SettingError(" | ".join(problems))
    for group, schema in GROUPS.items():
        built[group] = attempt(lambda group=group, schema=schema: _build(config, group, schema))
    attempt(lambda: _check_data_root(config))
    only_facts = attempt(lambda: _only_facts(config, built["task"]))
    if not problems:
        problems += unmeasurable(built["gate"], built["task"], built["retention"])
    if problems:
        raise SettingError(" | ".join(problems))
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    plain: dict[str, Any] = {str(key): value for key, value in resolved.items()}
    weights = fingerprint(built["model"])
    before = built["model"].saved_run
    if before and not _said_text(before):
        # What the earlier run kept to itself, this one keeps too: it asks the same questions again.
        plain["tracking"]["log_text"] = False
        built["tracking"] = dataclasses.replace(built["tracking"], log_text=False)
    if before:
        built["task"] = TaskView(built["task"], earlier=earlier_probes(before))
    run_id = _run_id(plain, built, weights, only_facts)
    return RunConfig(
        **built,
        seed=plain["seed"],
        cache_dir=Path(plain["cache_dir"]).expanduser(),
        run_dir=Path(plain["runs_dir"]) / plain["experiment_name"] / run_id,
        run_id=run_id,
        resolved=plain,
        model_fingerprint=weights,
        only_facts=only_facts,
        only_missed=plain["task"].get("only_missed", False),
    )


def _run_id(
    plain: dict[str, Any], built: dict[str, Any], weights: str, only_facts: frozenset[str] | None
) -> str:
    """`<task>-<method>-<model>-s<seed>-<hash>`; the hash covers all that can change a number."""
    task, suite = built["task"], built["retention"]
    identity = {
        **{key: value for key, value in plain.items() if key not in COSMETIC},
        **{
            group: {key: value for key, value in plain[group].items() if key not in outside}
            for group, outside in OUTSIDE_HASH.items()
        },
        "model": {**plain["model"], "name": weights},
        "data": [dataclasses.asdict(item) for item in [*task.facts, *task.probes]],
        "identities": [task.identity, built["method"].identity, suite.fingerprint()],
        "only_facts": None if only_facts is None else sorted(only_facts),
        "results_version": RESULTS_VERSION,
    }
    names = f"{task.name}-{built['method'].name}-{built['model'].label}-s{plain['seed']}"
    return f"{names}-{content_hash(identity)}"


def _check_top_level(config: DictConfig) -> None:
    known = [*GROUPS, *PLAIN_KEYS]
    for key in config:
        if key not in known:
            raise SettingError(_unknown(str(key), str(key), known))
    for group in GROUPS:
        if not isinstance(config[group], DictConfig):
            raise SettingError(
                f"{group}={config[group]} is one value for a whole group; give {group}.<setting>=<value>"
            )
    if isinstance(config.seed, bool) or not isinstance(config.seed, int):
        raise SettingError(f"seed={config.seed} is not a whole number")
    within("seed", config.seed, 0, SEEDS)
    for key in ("experiment_name", "runs_dir", "cache_dir"):
        if not isinstance(config[key], str) or not config[key]:
            raise SettingError(f"{key}={config[key]} is no name")
    for key in ("runs_dir", "cache_dir"):
        folder = Path(config[key]).expanduser()
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        if not there.is_dir():
            raise SettingError(f"{key}={config[key]}: {there} is a file; give a folder")


def _check_engine_keys(config: DictConfig) -> None:
    """Give the engine's own keys their types; other keys are made of them."""
    for group, types in ENGINE_KEYS.items():
        given = {key: config[group][key] for key in types if key in config[group]}
        for key, value in _typed(group, [(key, types[key]) for key in given], given).items():
            config[group][key] = value
    for reason in config.task.get("reject", ()):
        one_of("task.reject", reason, CHECKS)
    budget = config.task.get("budget")
    if budget is not None:  # the token budget of a reply goes by the answer format
        one_of("task.answer_format", config.task.answer_format, budget)


def _check_data_root(config: DictConfig) -> None:
    root = config.data_root
    if root is not None and not Path(str(root)).expanduser().is_dir():
        raise DataError(
            f"data_root={root} is not a folder; give the folder that holds the dataset clones "
            "(<data_root>/openai/gsm8k ...), or leave data_root out to use the hub"
        )


def _said_text(run_dir: Path) -> bool:
    """Whether a saved run mirrored its questions and answers."""
    config = yaml.safe_load((run_dir / "config.yaml").read_text(encoding="utf-8"))
    return bool(config["tracking"]["log_text"])


def earlier_probes(run_dir: Path) -> list[Probe]:
    """What a run and those before it taught, as probes of split `earlier`."""
    files = [run_dir / "probes" / f"{split}.jsonl" for split in ("recall", EARLIER)]
    records = [record for file in files if file.exists() for record in read_jsonl(file)]
    named = [(f"{EARLIER} {run_dir.name} / {record['id']}", record) for record in records]
    return [
        Probe(name, EARLIER, r["prompt"], tuple(r["answers"]), fact_id=name, kind=r["kind"])
        for name, r in named
    ]


def _only_facts(config: DictConfig, task: Task | None) -> frozenset[str] | None:
    """Ids of the facts that another run trained on, where `task.only_facts_of` names one."""
    folder = config.task.get("only_facts_of")
    if folder is None or task is None:
        return None
    listed = Path(str(folder)).expanduser() / "examples.jsonl"
    if not listed.exists():
        raise DataError(
            f"task.only_facts_of={folder} is no run with prepared examples; "
            "give a run directory below runs/<experiment_name>/"
        )
    kept = frozenset(example.fact_id for example in read_examples(listed) if not example.extra)
    foreign = kept - {fact.id for fact in task.facts}
    if foreign:
        raise DataError(
            f"task.only_facts_of={folder} trained on {len(foreign)} facts that this task does not have, "
            f"such as {min(foreign)}; give a run with the same task and seed"
        )
    return kept


def _build(config: DictConfig, group: str, schema: type | None) -> Any:
    """Build the object a group configures, from its own `_target_` where no class is given."""
    node = config[group]
    engine = ("_target_", *ENGINE_KEYS.get(group, ()))
    for key in node:
        if OmegaConf.is_missing(node, key):
            raise SettingError(f"{group}.{key} is not set; add {group}.{key}=<value>")
    values = {str(key): node[key] for key in node if key not in engine}
    try:
        target = schema or get_object(node["_target_"])
    except (ImportError, ValueError, OmegaConfBaseException) as error:
        raise SettingError(f"{group}._target_={node.get('_target_')} cannot be imported") from error
    return target(**_checked(target, group, values))


def _checked(target: Callable[..., Any], group: str, values: Mapping[str, Any]) -> dict[str, Any]:
    parameters = {k: p for k, p in inspect.signature(target).parameters.items() if k != "self"}
    for key in values:
        if key not in parameters:
            raise SettingError(_unknown(f"{group}.{key}", key, list(parameters)))
    missing = [key for key in parameters if key not in values]
    if missing:
        raise SettingError(f"{group} lacks {', '.join(missing)}; a config file of this group sets it")
    fields = [(key, parameter.annotation) for key, parameter in parameters.items()]
    return _typed(group, fields, values)


def _typed(group: str, fields: list[tuple[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as plain Python of the fields' types, or a line that names the one that is not."""
    typed = OmegaConf.structured(dataclasses.make_dataclass(group, fields))
    for key, value in values.items():
        try:
            typed[key] = value
        except OmegaConfBaseException as error:
            wanted = getattr(dict(fields)[key], "__name__", str(dict(fields)[key]))
            raise SettingError(f"{group}.{key}={value} is of the wrong type; allowed: {wanted}") from error
    plain = OmegaConf.to_container(typed, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def _unknown(shown: str, key: str, known: list[str]) -> str:
    return f"{shown} is not a setting; {did_you_mean(key, known)}allowed: {', '.join(known)}"
