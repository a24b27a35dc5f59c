"""From a composed Hydra config to checked objects; all mistakes are told at once, before a model is loaded.

`construct` builds what a group configures; here are the checks that take more than one group, and what a run
is made of.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from mixsd.core.errors import DataError, MixSDError, SettingError, one_of, within
from mixsd.core.questions import PREVIOUSLY_TAUGHT, RECALL, Axis, Probe, Task
from mixsd.lm import sources
from mixsd.lm.load import template_of
from mixsd.lm.sources import ModelSettings
from mixsd.lm.suite import RetentionSuite
from mixsd.lm.template import OWN, ChatTemplate
from mixsd.methods.contract import Editor, GradientMethod, Method
from mixsd.mixing.expert_prompt import WORDINGS
from mixsd.mixing.targets import CHECKS
from mixsd.results.gate import GateSettings, unmeasurable
from mixsd.run import identity
from mixsd.run.construct import Builder, typed, unknown
from mixsd.run.environment import arithmetic, native_dtype
from mixsd.run.messages import CONF
from mixsd.run.model_fit import see_that_it_fits
from mixsd.run.preparation import read_examples
from mixsd.run.probes_file import previously_taught
from mixsd.run.settings import DriftSettings, SweepSettings, TrainingSettings
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
    "sweep": SweepSettings,
}
"""Config groups: the class each configures, or the contracts that its own `_target_` may fulfil."""
PLAIN_KEYS = (
    "seed",
    "experiment_name",
    "runs_dir",
    "cache_dir",
    "data_root",
    "threads",
    "devices",
    "dry_run",
)
SHARED_KEYS: Mapping[str, Mapping[str, Any]] = {
    "task": {
        "only_facts_of": str | None,
        "only_missed": bool,
        "advice": dict[str, Any],
        "budget": dict[str, int],
        "splits": list[str] | None,
    },
}
"""Keys of a group that a run or other groups read, with their types; its class does not get them."""
# A letter, digit or `_` at least: names become parts of paths, and `..` must not be one.
_NAME = re.compile(r"[\w.+-]*\w[\w.+-]*")
LONGEST_NAME = 120
AUTO = "auto"
"""The dtype that the machine computes fastest in."""
SEEDS = 2**32 - 1
"""The highest that every generator takes."""


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
        model_notes: What a reader of scores must know of how this model's prompts are rendered.
        devices: Processes that share the work (None: one, or those of a launcher); no number hangs on it.
    """

    model: ModelSettings
    task: Task
    method: Method
    training: TrainingSettings
    retention: RetentionSuite
    tracking: Tracker
    gate: GateSettings
    drift: DriftSettings
    sweep: SweepSettings
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
    model_notes: tuple[str, ...]
    devices: int | None

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

    def attempt(step: Callable[[], Any]) -> Any:
        try:
            return step()
        except (MixSDError, OmegaConfBaseException) as error:
            # The further lines of OmegaConf's errors are about its own nodes.
            problems.append(str(error).splitlines()[0])
            return None

    attempt(lambda: _check_top_level(config))
    if not problems:
        attempt(lambda: _check_shared_keys(config))
    if problems:  # other keys are made of these
        raise SettingError(" | ".join(problems))
    attempt(lambda: _choose_dtypes(config))
    attempt(lambda: _use_threads(config.threads))
    attempt(lambda: _check_data_root(config))
    attempt(lambda: _keep_text_private(config))
    root = config.data_root if isinstance(config.data_root, str) else None
    builders = {group: Builder(group, root, frozenset(SHARED_KEYS.get(group, ()))) for group in GROUPS}
    for group, builder in builders.items():
        built[group] = attempt(lambda builder=builder: _build(builder, config[builder.group]))
    only_facts = attempt(lambda: _only_facts(config, built["task"]))
    template = attempt(lambda: _template(built["model"], Path(config.cache_dir).expanduser()))
    if not problems:
        attempt(lambda: see_that_it_fits(built, Path(config.cache_dir).expanduser()))
    probes: list[Probe] = []
    if not problems:
        probes = attempt(lambda: _probes(config, built["task"], built["model"], template)) or []
    if not problems:
        # A gate on what this run never measures would only fail after the training.
        splits = {probe.split for probe in probes}
        suite: RetentionSuite = built["retention"]
        problems += (
            attempt(
                lambda: unmeasurable(built["gate"], splits, built["task"].name, suite.name, suite.generated)
            )
            or []
        )
    if problems:
        raise SettingError(" | ".join(problems))
    notes = template.notes if template else ()
    return _run_config(config, built, builders, only_facts, probes, tuple(notes))


def _template(model: ModelSettings | None, cache_dir: Path) -> ChatTemplate | None:
    """The model's chat template, looked at before any work; None where there is nothing to find out."""
    if model is None or (model.name in sources.BUNDLED and model.template == OWN):
        return None
    sources.fingerprint(model)  # first of all: is it there, and of a kind that can be trained?
    return template_of(model, cache_dir)


def _probes(
    config: DictConfig, task: Task, model: ModelSettings, template: ChatTemplate | None
) -> list[Probe]:
    """What the run asks: the splits of `task.splits` (None: all) that the chat template can render.

    Raises:
        SettingError: A split is named that is not asked.
    """
    earlier = previously_taught(model.saved_run) if model.saved_run else []
    found = [*task.probes, *earlier]
    wanted = config.task.get("splits")
    if wanted is not None:
        splits = sorted({probe.split for probe in found} - {RECALL})
        for split in wanted:
            one_of("task.splits", split, (RECALL, *splits))
        # Recall is what a training is stopped by, and what every report begins with.
        found = [probe for probe in found if probe.split in {RECALL, *wanted}]
    return [p for p in found if template is None or template.can_ask(p.question.system, p.question.history)]


def _build(builder: Builder, node: DictConfig) -> Any:
    """The object that a group configures."""
    wanted = GROUPS[builder.group]
    return builder.settings(node, wanted) if isinstance(wanted, type) else builder.fulfilling(node, wanted)


def _run_config(
    config: DictConfig,
    built: dict[str, Any],
    builders: Mapping[str, Builder],
    only_facts: frozenset[str] | None,
    probes: Sequence[Probe],
    model_notes: tuple[str, ...],
) -> RunConfig:
    resolved = OmegaConf.to_container(config, resolve=True)
    assert isinstance(resolved, dict)
    plain: dict[str, Any] = {str(key): value for key, value in resolved.items()}
    for group, wanted in GROUPS.items():
        if isinstance(wanted, type):  # what is written down holds the defaults too
            plain[group] = builders[group].values
    model, task = built["model"], built["task"]
    # What was taught before can be forgotten now, so it is asked on the retention axis.
    taught = any(probe.split == PREVIOUSLY_TAUGHT for probe in probes)
    axes = {**task.axes, **({PREVIOUSLY_TAUGHT: Axis.RETENTION} if taught else {})}
    weights = sources.fingerprint(model)
    moves = arithmetic({model.scoring_dtype, built["training"].dtype, *_dtypes(builders["method"].values)})
    found = identity.Identity.of(
        identity.Parts(
            seed=plain["seed"],
            settings={group: builder.values for group, builder in builders.items()},
            files={
                group: {key: file.digest for key, file in builder.files.items()}
                for group, builder in builders.items()
            },
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
        model_notes=model_notes,
        devices=plain["devices"],
    )


def _dtypes(method: Mapping[str, Any]) -> set[str]:
    """The arithmetic that a method's own settings name."""
    return {str(value) for key, value in method.items() if key.endswith("dtype")}


def _check_top_level(config: DictConfig) -> None:
    known = [*GROUPS, *PLAIN_KEYS]
    for key in config:
        if key not in known:
            raise SettingError(unknown(str(key), str(key), known))
    for group in GROUPS:
        if not isinstance(config[group], DictConfig):
            raise SettingError(
                f"{group}={config[group]} is one value for a whole group; give {group}.<setting>=<value>"
            )
    # bool is an int in Python, and YAML reads a bare `on` as True.
    if isinstance(config.seed, bool) or not isinstance(config.seed, int):
        raise SettingError(f"seed={config.seed} is not a whole number")
    within("seed", config.seed, 0, SEEDS)
    if not isinstance(config.dry_run, bool):
        raise SettingError(f"dry_run={config.dry_run} is of the wrong type; allowed: true or false")
    for key in ("threads", "devices"):
        count = config[key]
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise SettingError(f"{key}={count} is out of range; allowed: 1 or more, or null")
    for key in ("experiment_name", "runs_dir", "cache_dir"):
        if isinstance(config[key], int | float) and not isinstance(config[key], bool):
            config[key] = str(config[key])  # 2026 is a name, too
    for key in ("experiment_name", "runs_dir", "cache_dir"):
        if not isinstance(config[key], str) or not config[key]:
            raise SettingError(f"{key}={config[key]} is no name")
    for shown, name in (
        ("experiment_name", config.experiment_name),
        ("method.name", config.method.get("name", "method")),
        ("task.name", config.task.get("name", "task")),
    ):
        if len(str(name).encode()) > LONGEST_NAME:
            raise SettingError(
                f"{shown}={str(name)[:40]}... has {len(str(name))} characters; allowed: names of at most "
                f"{LONGEST_NAME} bytes, which become parts of paths"
            )
        if not _NAME.fullmatch(str(name)):
            raise SettingError(f"{shown}={name} is no name; allowed: letters, digits, '_', '.', '+' and '-'")
    for key in ("runs_dir", "cache_dir"):
        there = _nearest(key, Path(config[key]).expanduser())
        if not there.is_dir():
            raise SettingError(f"{key}={config[key]}: {there} is a file; give a folder")


def _nearest(key: str, path: Path) -> Path:
    """The path itself where it exists, else the nearest folder above it."""
    try:
        return next(place for place in (path, *path.absolute().parents) if place.exists())
    except OSError as error:  # a name that is too long
        raise SettingError(f"{key}={str(path)[:60]}... is no folder name ({error.strerror})") from error


def _check_shared_keys(config: DictConfig) -> None:
    """See that these keys have their types, before other keys are made of them."""
    for group, kinds in SHARED_KEYS.items():
        given = {key: config[group][key] for key in kinds if key in config[group]}
        for key, value in typed(group, [(key, kinds[key]) for key in given], given).items():
            OmegaConf.update(config, f"{group}.{key}", value)
    for reason in (config.task.get("advice") or {}).get("reject", ()):
        one_of("task.advice.reject", reason, CHECKS)
    budget = config.task.get("budget")
    if budget is not None:  # the token budget of a reply goes by the answer format
        one_of("task.answer_format", config.task.answer_format, budget)
    if "expert_wording" in config.model:
        one_of("model.expert_wording", config.model.expert_wording, WORDINGS)


def _choose_dtypes(config: DictConfig) -> None:
    """Write down what `auto` is on this machine, so that it is part of what the run is.

    A setting that is taken from another, as `${training.dtype}`, is chosen with it.
    """
    for group in GROUPS:
        for key in config[group]:
            plain = not OmegaConf.is_missing(config[group], key) and not OmegaConf.is_interpolation(
                config[group], key
            )
            if plain and str(key).endswith("dtype") and config[group][key] == AUTO:
                config[group][key] = native_dtype()


def _use_threads(threads: int | None) -> None:
    """Pin the threads of this process: in bfloat16 they move numbers."""
    if threads is not None:
        torch.set_num_threads(threads)


def _check_data_root(config: DictConfig) -> None:
    root = config.data_root
    folder = None if root is None else Path(str(root)).expanduser()
    if folder is not None and not (_nearest("data_root", folder) == folder and folder.is_dir()):
        raise DataError(
            f"data_root={root} is not a folder; give the folder that holds the dataset clones "
            "(<data_root>/openai/gsm8k ...), or leave data_root out to use the hub"
        )


def _keep_text_private(config: DictConfig) -> None:
    """What the run that taught the model kept to itself, this one keeps too: it asks the same questions.

    That is written into this run's own config, whatever its tracker, so that a run after it keeps it as well.
    """
    named = Path(str(config.model.get("name", ""))).expanduser()
    # `model.name` may be a run, or the model folder inside one.
    taught = next((run for run in (named, named.parent) if (run / "DONE").exists()), None)
    if taught and not _shows_text(_config_of(taught)):
        # `force_add`: the task's config may lack the key, and Hydra's configs take no new ones.
        OmegaConf.update(config, "task.advice.log_text", False, force_add=True)
        if "log_text" in config.tracking:
            config.tracking.log_text = False


def _config_of(run_dir: Path) -> Mapping[str, Any]:
    """The config of a finished run.

    Raises:
        DataError: It cannot be read, or is none of ours.
    """
    path = run_dir / "config.yaml"
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise DataError(
            f"model.name: {path} cannot be read ({' '.join(str(error).split())[:100]})"
        ) from error
    if not isinstance(found, dict) or not {"task", "tracking"} <= set(found):
        raise DataError(f"model.name: {path} is no config of a run; give the model's own folder elsewhere")
    return found


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
