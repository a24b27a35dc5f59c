"""A workspace of W&B by code: tradeoff, curves, costs and all answers, grouped by method."""

from mixsd.core.errors import SettingError, TrackingError
from mixsd.trackers.wandb import named


def make_dashboard(project: str, entity: str | None = None) -> str:
    """Make a saved view in a W&B project and give its address; every call makes another one.

    Raises:
        SettingError: A name is none, or the extra `dashboards` is not installed.
        TrackingError: W&B does not take it.
    """
    named("project", project)
    named("entity", entity)
    try:
        import wandb_workspaces.reports.v2 as panels
        import wandb_workspaces.workspaces as workspaces
    except ImportError as error:
        raise SettingError(
            "mixsd dashboard needs wandb-workspaces; run `pip install 'mixsd-bench[dashboards]'`"
        ) from error
    import wandb

    def curve(title: str, metric: str, x: str) -> panels.LinePlot:
        return panels.LinePlot(
            title=title, x=x, y=[metric], groupby=panels.Config("method_name"), groupby_rangefunc="minmax"
        )

    memorization, validation = "trajectory/recall", "trajectory/retention_validation"
    sections = {
        "memorization against retention": [
            panels.ScatterPlot(
                title="a point a run", x=panels.SummaryMetric("recall"), y=panels.SummaryMetric("retention")
            ),
            panels.ScatterPlot(
                title="what it costs",
                x=panels.SummaryMetric("cost_tokens"),
                y=panels.SummaryMetric("retention"),
                log_x=True,
            ),
            panels.WeavePanelSummaryTable(table_name="primary_comparisons"),
        ],
        "while it trains": [
            curve("recall by step", memorization, "step"),
            curve("recall by trained token", memorization, "trained_tokens"),
            curve("validation score by step", validation, "step"),
            curve("loss", "train/loss", "step"),
        ],
        "answers and targets": [
            panels.WeavePanelSummaryTable(table_name="answers/recall"),
            panels.WeavePanelSummaryTable(table_name="targets"),
            panels.WeavePanelSummaryTable(table_name="runs"),
        ],
    }
    try:
        made = workspaces.Workspace(
            entity=entity or wandb.Api().default_entity or "",
            project=project,
            name="MixSD Bench",
            sections=[
                workspaces.Section(name=name, panels=list(found), is_open=True)
                for name, found in sections.items()
            ],
            runset_settings=workspaces.RunsetSettings(groupby=[workspaces.Config("method_name")]),
        ).save()
    except Exception as error:  # the client's errors have no common base
        said = " ".join(str(error).split())[:200]
        raise TrackingError(
            f"W&B did not make a dashboard in {project} ({said}); see that the server can be reached"
        ) from error
    return made.url
