"""From a composed Hydra config to checked objects. No model is loaded here.

The constructors are the schema: every key of a config group must be a parameter of the class it
configures, with a value of the annotated type; what has a default may be left out. A parameter of type
`File` or `Folder` names a file: it is looked for here, and its content is on the run's hash. All mistakes
are reported at once.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mixsd.core.errors import DataError, MixSDError, SettingError, did_you_mean, one_of, within
from mixsd.core.files import File, Folder
from mixsd.core.questions import PREVIOUSLY_TAUGHT, Axis, Probe, Task
from mixsd.lm.load import ModelSettings, fingerprint
from mixsd.lm.suite import RetentionSuite
from mixsd.methods.contract import Editor, GradientMethod, Method
from mixsd.mixing.expert_prompt import WORDINGS
from mixsd.mixing.targets import CHECKS
from mixsd.results.gate import GateSettings, unmeasurable
from mixsd.run import identity
from mixsd.run.environment import arithmetic
from mixsd.run.messages import CONF
from mixsd.run.preparation import read_examples
from mixsd.run.probes_file import previously_taught
from mixsd.run.settings import DriftSettings, TrainingSettings
from mixsd.trackers.tracker import Tracker

GROUPS: Mapping[str, type | tuple[type, ...]] = {
    "model": ModelSettings,
    "task": (Task,),
    "method": (GradientMethod, Editor),
    "training": TrainingSettings,
    "retention": (RetentionSuite,),
    "tracking": (Tracker,),
    "gate": GateSettings,
    "drift": DriftSettings,
}
"""Config groups: the class each configures, or the contracts that its own `_target_` may fulfil."""
PLAIN_KEYS = ("seed", "experiment_name", "runs_dir", "cache_dir", "data_root")
ENGINE_KEYS: Mapping[str, Mapping[str, Any]] = {
    "task": {
        "only_facts_of": str | None,
        "only_missed": bool,
        "advice": dict[str, Any],
        "budget": dict[str, int],
    },
}
"""Keys of a group that the engine or other groups read, with their types; its class does not get them."""
_EMPTY = inspect.Parameter.empty
SEEDS = 2**32 - 1
"""The highest that every generator takes."""


@dataclass
class Given:
    """What a group was given: plain values, defaults included, and files by key."""

    values: dict[str, Any] = field(default_factory=dict)
    files: dict[str, File] = field(default_factory=dict)


@dataclass(frozen=True)
class RunConfig:
    """A checked config with its objects built.

    Attributes:
        probes: Those of the task, and what an earlier run taught the model.
        axes: What each split of them measures.
        resolved: The whole config as plain values.
        identity: What the run is, in three layers.
        model_fingerprint: Identifies the base model's weights by content.
        only_facts: Ids of the facts that may be trained on (None: all).
        only_missed: Whether facts that the base model knows are left out.
        log_text: Whether questions and answers may be shown to a tracker.
        arithmetic: What moves a bit beyond settings: device and threads, where they do.
    """

    model: ModelSettings
    task: Task
    method: Method
    training: TrainingSettings
    retention: RetentionSuite
    tracking: Tracker
    gate: GateSettings
    drift: DriftSettings
    seed: int
    experiment: str
    cache_dir: Path
    run_dir: Path
    probes: Sequence[Probe]
    axes: Mapping[str, Axis]
    resolved: dict[str, Any]
    identity: identity.Identity
    model_fingerprint: str
    only_facts: frozenset[str] | None
    only_missed: bool
    log_text: bool
    arithmetic: dict[str, Any]

    @property
    def run_id(self) -> str:
        """The name of the run's directory."""
        return self.run_dir.name


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
    given = {group: Given() for group in GROUPS}

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
    attempt(lambda: _check_data_root(config))
    _keep_text_private(config)
    for group, wanted in GROUPS.items():
        built[group] = attempt(lambda group=group, wanted=wanted: _build(config, group, wanted, given[group]))
    only_facts = attempt(lambda: _only_facts(config, built["task"]))
    if not problems:
        splits = {probe.split for probe in built["task"].probes}
        suite: RetentionSuite = built["retention"]
        problems += (
            attempt(
                lambda: unmeasurable(built["gate"], splits, built["task"].name, suite.name, suite.generated)
            )
            or []
        )
    if problems:
        raise SettingError(" | ".join(problems))
    return _run_config(config, built, given, only_facts)


def _run_config(
    config: DictConfig,
    built: dict[str, Any],
    given: Mapping[str, "Given"],
    only_facts: frozenset[str] | None,
) -> RunConfig:
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    plain: dict[str, Any] = {str(key): value for key, value in resolved.items()}
    for group, wanted in GROUPS.items():
        if isinstance(wanted, type):  # what is written down holds the defaults too
            plain[group] = given[group].values
    model, task = built["model"], built["task"]
    earlier = previously_taught(model.saved_run) if model.saved_run else []
    probes = [*task.probes, *earlier]
    axes = {**task.axes, **({PREVIOUSLY_TAUGHT: Axis.RETENTION} if earlier else {})}
    weights = fingerprint(model)
    moves = arithmetic({model.scoring_dtype, built["training"].dtype, *_dtypes(given["method"].values)})
    found = identity.Identity.of(
        identity.Parts(
            seed=plain["seed"],
            settings={group: found.values for group, found in given.items()},
            files={group: {k: f.digest for k, f in found.files.items()} for group, found in given.items()},
            only_missed=plain["task"].get("only_missed", False),
            weights=weights,
            facts=task.facts,
            probes=probes,
            axes=axes,
            only_facts=only_facts,
            task=task,
            method=built["method"],
            suite=built["retention"],
            arithmetic=moves,
        )
    )
    names = f"{task.name}-{built['method'].name}-{model.label}-s{plain['seed']}"
    runs_dir = Path(plain["runs_dir"]).expanduser()
    return RunConfig(
        **built,
        seed=plain["seed"],
        experiment=plain["experiment_name"],
        cache_dir=Path(plain["cache_dir"]).expanduser(),
        run_dir=runs_dir / plain["experiment_name"] / f"{names}-{found.run_hash}",
        probes=probes,
        axes=axes,
        resolved=plain,
        identity=found,
        model_fingerprint=weights,
        only_facts=only_facts,
        only_missed=plain["task"].get("only_missed", False),
        log_text=_shows_text(plain),
        arithmetic=moves,
    )


def _dtypes(method: Mapping[str, Any]) -> set[str]:
    """The arithmetic that a method's own settings name."""
    return {str(value) for key, value in method.items() if key.endswith("dtype")}


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
    """See that the engine's own keys have their types, before other keys are made of them."""
    for group, kinds in ENGINE_KEYS.items():
        given = {key: config[group][key] for key in kinds if key in config[group]}
        for key, value in _typed(group, [(key, kinds[key]) for key in given], given).items():
            OmegaConf.update(config, f"{group}.{key}", value)
    for reason in (config.task.get("advice") or {}).get("reject", ()):
        one_of("task.advice.reject", reason, CHECKS)
    budget = config.task.get("budget")
    if budget is not None:  # the token budget of a reply goes by the answer format
        one_of("task.answer_format", config.task.answer_format, budget)
    if "expert_wording" in config.model:
        one_of("model.expert_wording", config.model.expert_wording, WORDINGS)


def _check_data_root(config: DictConfig) -> None:
    root = config.data_root
    if root is not None and not Path(str(root)).expanduser().is_dir():
        raise DataError(
            f"data_root={root} is not a folder; give the folder that holds the dataset clones "
            "(<data_root>/openai/gsm8k ...), or leave data_root out to use the hub"
        )


def _keep_text_private(config: DictConfig) -> None:
    """What the run that taught the model kept to itself, this one keeps too: it asks the same questions.

    That is written into this run's own config, whatever its tracker, so that a run after it keeps it as well.
    """
    saved = Path(str(config.model.get("name", ""))).expanduser() / "config.yaml"
    if saved.exists() and not _shows_text(yaml.safe_load(saved.read_text(encoding="utf-8"))):
        OmegaConf.update(config, "task.advice.log_text", False, force_add=True)
        if "log_text" in config.tracking:
            config.tracking.log_text = False


def _shows_text(config: Mapping[str, Any]) -> bool:
    """Whether questions and answers may be shown: as the tracker is told, else as the task advises."""
    advised = (config["task"].get("advice") or {}).get("log_text", True)
    return bool(config["tracking"].get("log_text", advised))


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


def _build(config: DictConfig, group: str, wanted: type | tuple[type, ...], given: Given) -> Any:
    """Build the object that a group configures; where contracts are given, from its own `_target_`.

    Raises:
        SettingError: The target cannot be imported, its settings do not fit, or it fulfils no contract.
    """
    if isinstance(wanted, type):
        settings = wanted(**_arguments(config, group, config[group], wanted, given))
        given.values = {key: _plain(value) for key, value in dataclasses.asdict(settings).items()}
        return settings
    built = _instance(config, group, config[group], given)
    lacks = [_lacking(built, contract) for contract in wanted]
    if all(lacks):
        least = min(lacks, key=len)
        raise SettingError(
            f"{group}._target_={config[group]._target_} is no {group}: it lacks {', '.join(least)}; "
            "see docs/extending.md"
        )
    return built


def _instance(config: DictConfig, name: str, node: DictConfig, given: Given) -> Any:
    try:
        target = get_object(node["_target_"])
    except (ImportError, ValueError, OmegaConfBaseException) as error:
        raise SettingError(f"{name}._target_={node.get('_target_')} cannot be imported") from error
    return target(**_arguments(config, name, node, target, given))


def _lacking(built: object, contract: type) -> list[str]:
    """Members of a contract that an object lacks; looked for on its class, since a property may be costly."""
    # typing has no public way to list the members of a protocol before Python 3.13.
    members = sorted({*getattr(contract, "__annotations__", {}), *vars(contract)})
    own = [name for name in members if not name.startswith("_")]
    return [name for name in own if not hasattr(type(built), name) and name not in vars(built)]


def _arguments(
    config: DictConfig, name: str, node: DictConfig, target: Callable[..., Any], given: Given
) -> dict[str, Any]:
    """Checked arguments of what a node configures, its files and the objects inside it built."""
    skipped = ("_target_", *(ENGINE_KEYS.get(name, ())))
    for key in node:
        if OmegaConf.is_missing(node, key):
            raise SettingError(f"{name}.{key} is not set; add {name}.{key}=<value>")
    values = {str(key): node[key] for key in node if key not in skipped}
    parameters = {
        key: parameter.replace(annotation=Any) if parameter.annotation is _EMPTY else parameter
        for key, parameter in inspect.signature(target).parameters.items()
    }
    rest = [key for key, parameter in parameters.items() if parameter.kind is parameter.VAR_KEYWORD]
    for key in rest:  # it takes any further setting
        any_setting = parameters.pop(key).replace(annotation=Any, kind=inspect.Parameter.KEYWORD_ONLY)
        parameters |= {other: any_setting for other in values if other not in parameters}
    for key in values:
        if key not in parameters:
            raise SettingError(_unknown(f"{name}.{key}", key, list(parameters)))
    missing = [k for k, p in parameters.items() if k not in values and p.default is _EMPTY]
    if missing:
        raise SettingError(f"{name} lacks {', '.join(missing)}; a config file of this group sets it")
    arguments: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    inside = name.partition(".")[2]
    prefix = f"{inside}." if inside else ""
    for key, value in values.items():
        kind = _file_type(parameters[key].annotation)
        if isinstance(value, DictConfig) and "_target_" in value:  # methods may be made of methods
            given.values[f"{prefix}{key}._target_"] = str(value["_target_"])
            arguments[key] = _instance(config, f"{name}.{key}", value, given)
        elif kind:
            arguments[key] = None if value is None else _file(f"{name}.{key}", value, kind, config.data_root)
            if value is not None:
                given.files[f"{prefix}{key}"] = arguments[key]
        else:
            plain[key] = value
    typed = _typed(name, [(key, parameters[key].annotation) for key in plain], plain)
    defaults = {
        k: p.default for k, p in parameters.items() if k not in values and not _file_type(p.annotation)
    }
    given.values |= {f"{prefix}{key}": _plain(value) for key, value in (defaults | typed).items()}
    return arguments | typed


def _plain(value: Any) -> Any:
    """A value as JSON holds it."""
    return list(value) if isinstance(value, tuple | frozenset) else value


def _file_type(annotation: Any) -> type[File] | None:
    """`File` or `Folder`, where a parameter is declared as one, perhaps optional."""
    options = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else (annotation,)
    return next((o for o in options if isinstance(o, type) and issubclass(o, File)), None)


def _file(setting: str, value: Any, kind: type[File], data_root: str | None) -> File:
    """A file that a setting names: as given, or else below the data root."""
    if not isinstance(value, str) or not value:
        raise SettingError(f"{setting}={value} is no path; give {'a folder' if kind is Folder else 'a file'}")
    given = Path(value).expanduser()
    under = Path(data_root).expanduser() / value if data_root else given
    try:
        return kind(setting, given if given.exists() or not under.exists() else under)
    except OSError as error:  # a name that is too long
        raise DataError(f"{setting}={value[:60]}... is no file name ({error.strerror})") from error


def _typed(group: str, fields: list[tuple[str, Any]], values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as plain Python of the fields' types, or a line that names the one that is not."""
    typed = OmegaConf.structured(dataclasses.make_dataclass(group.replace(".", "_"), fields))
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
