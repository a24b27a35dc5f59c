"""The W&B mirror of runs and experiments. Local files are the truth; it can be rebuilt from them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from mixsd.core.errors import SettingError, TrackingError, one_of
from mixsd.core.store import read_json, read_jsonl
from mixsd.methods.losses import DIVERGENCES

MODES = ("offline", "online", "disabled")
METRICS = "metrics.jsonl"
TRAJECTORY = "trajectory.jsonl"
SHOWN_ANSWERS = 20
LONGEST_ID = 128


@dataclass(frozen=True)
class TrackingSettings:
    """Where runs are mirrored to.

    Attributes:
        mode: `offline` (files under the run directory), `online`, or `disabled`.
        project: W&B project.
        entity: W&B user or team (None: the default one).
        log_text: Whether questions and answers are mirrored too; else numbers and hashes only.

    Raises:
        SettingError: The mode is unknown, or is `online` where W&B has no login.
    """

    mode: str
    project: str
    entity: str | None
    log_text: bool

    def __post_init__(self) -> None:
        one_of("tracking.mode", self.mode, MODES)
        if self.mode == "online" and not _logged_in():
            raise SettingError(
                "tracking.mode=online needs a W&B login, and there is none on this machine; "
                "run `wandb login`, or choose offline"
            )


def _logged_in() -> bool:
    """Whether W&B finds a key here; nothing is sent."""
    import wandb  # heavy, and only needed here
    from wandb.errors import Error

    try:
        return wandb.login(prompt=False, verify=False)
    except Error as error:
        said = " ".join(str(error).split())[:200]
        raise SettingError(f"tracking.mode=online: W&B refuses this machine's key ({said})") from error


def flatten(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float | int | str]]:
    """Nested results as flat keys with slashes; lists and missing values are left out."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from flatten(value, f"{name}/")
        elif isinstance(value, int | float | str):
            yield name, value


def summary(results: Mapping[str, Any]) -> dict[str, float | int | str]:
    """The summary of a run: `probes/recall`, `retention/ratio`, `targets/nll` ..., flat and fixed."""
    flat: dict[str, float | int | str] = {}
    for group in ("probes", "probes_before"):
        for split, values in results[group].items():
            flat[f"{group}/{split}"] = values["accuracy"]
            flat |= dict(flatten({"outcomes": values["outcomes"]}, f"{group}/{split}/"))
    for group in ("targets", "cost", "training", "memorization", "drift"):
        flat |= dict(flatten(results[group], f"{group}/"))
    retention = results["retention"]
    scalars = {key: value for key, value in retention.items() if not isinstance(value, Mapping)}
    flat |= dict(flatten(scalars, "retention/"))
    for task, values in retention.get("tasks", {}).items():
        flat[f"retention/{task}/base"] = values["base"]
        flat[f"retention/{task}/tuned"] = values["tuned"]
    for point in results["interpolation"]:
        name = f"interpolation/{point['alpha']}"
        flat[f"{name}/recall"] = point["probes"]["recall"]["accuracy"]
        if point["retention"]["ratio"] is not None:
            flat[f"{name}/retention"] = point["retention"]["ratio"]
    return flat


def _answers(run_dir: Path) -> pd.DataFrame:
    """The first questions of each split, with the answers before and after."""
    rows = [
        (path.stem, r["prompt"], r["before"]["text"], r["after"]["text"], r["after"]["outcome"])
        for path in sorted((run_dir / "probes").glob("*.jsonl"))
        for r in read_jsonl(path)[:SHOWN_ANSWERS]
    ]
    return pd.DataFrame(rows, columns=["split", "prompt", "before", "after", "outcome"])


def mirror(run_dir: Path, settings: TrackingSettings) -> None:
    """Write a finished run to W&B: config, training curve, summary.

    Args:
        run_dir: A run directory with `results.json`.
        settings: Where to; nothing happens when disabled.

    Raises:
        TrackingError: W&B does not take it.
    """
    if settings.mode == "disabled":
        return
    results = read_json(run_dir / "results.json")
    config = yaml.safe_load((run_dir / "config.yaml").read_text(encoding="utf-8"))
    divergence = config["method"].get("divergence")
    if divergence:
        config["method"]["divergence_is"] = DIVERGENCES[divergence]
    with _wandb_run(
        settings,
        dir=run_dir,
        id=f"{config['experiment_name']}-{results['run_id']}"[-LONGEST_ID:],
        name=results["run_id"],
        group=config["experiment_name"],
        job_type=results["method"],
        config=config,
    ) as run:
        run.define_metric("step")
        for group in ("train", "trajectory"):
            run.define_metric(f"{group}/*", step_metric="step")
        for group, file in (("train", METRICS), ("trajectory", TRAJECTORY)):
            for record in read_jsonl(run_dir / file):
                step = record.pop("step")
                values = {key: value for key, value in record.items() if value is not None}
                run.log({"step": step, **{f"{group}/{key}": value for key, value in values.items()}})
        run.summary.update(summary(results))
        if settings.log_text:
            import wandb

            run.log({"answers": wandb.Table(dataframe=_answers(run_dir))})


def mirror_sweep(folder: Path, settings: TrackingSettings) -> None:
    """Write one W&B run for a whole experiment: a row per run, and memorization against retention.

    Numbers only, whatever `log_text` says.

    Args:
        folder: Holds finished runs.
        settings: Where to; nothing happens when disabled.

    Raises:
        TrackingError: W&B does not take it.
    """
    if settings.mode == "disabled":
        return
    import wandb

    from mixsd.results.runs import load_runs, to_frame

    runs = to_frame(load_runs(folder))
    name = folder.resolve().name
    with _wandb_run(settings, dir=folder, name=f"{name} (all runs)", group=name, job_type="sweep") as run:
        table = wandb.Table(dataframe=runs.astype({"label": str}))
        run.log(
            {
                "runs": table,
                "tradeoff": wandb.plot.scatter(
                    table, "recall", "retention", title="Memorization against retention"
                ),
            }
        )


def rebuild(folder: Path, **changes: Any) -> int:
    """Mirror every finished run below a folder again, and each experiment as a whole, from the local files.

    Args:
        folder: Holds finished runs, at any depth.
        changes: Tracking settings that differ from those of the runs, such as `mode`.

    Returns:
        How many runs were mirrored; those with `tracking.mode=disabled` are not, unless `mode` changes it.

    Raises:
        StoreError: There is no finished run.
        TrackingError: W&B does not take one of them.
    """
    from mixsd.results.runs import load_runs

    experiments: dict[Path, TrackingSettings] = {}
    mirrored = 0
    for run in load_runs(folder):
        settings = TrackingSettings(**{**run.config["tracking"], **changes})
        mirror(run.path, settings)
        mirrored += settings.mode != "disabled"
        experiments.setdefault(run.path.parent, settings)
    for experiment, settings in experiments.items():
        mirror_sweep(experiment, settings)
    return mirrored


@contextmanager
def _wandb_run(settings: TrackingSettings, **about: Any) -> Iterator[Any]:
    """A W&B run that is finished whatever happens, so that the next one does not merge with it."""
    import wandb  # heavy, and only needed here
    from wandb.errors import Error

    try:
        run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            mode=settings.mode,  # type: ignore[arg-type]
            reinit="finish_previous",
            resume="allow" if settings.mode == "online" else None,  # a rebuilt run takes the old one's place
            settings=wandb.Settings(silent=True, console="off", x_disable_stats=True),
            **about,
        )
        try:
            yield run
        finally:
            run.finish()
    except Error as error:
        said = " ".join(str(error).split())[:200]
        raise TrackingError(
            f"W&B did not take {about['name']} ({said}); the local files are whole: "
            f"`python -m mixsd track {about['dir']} --mode {settings.mode}` mirrors them later"
        ) from error
