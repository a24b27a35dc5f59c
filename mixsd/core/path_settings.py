"""Settings that name files or folders of this machine: what is shown to others leaves them out."""

import re
from collections.abc import Mapping
from typing import Any

PATH_KEYS = frozenset(
    {"path", "folder", "file", "targets", "prompts", "include"}
    | {"runs_dir", "cache_dir", "data_root", "only_facts_of"}
)
"""Settings that name files or folders, in any group."""
_PATH = re.compile(r"[/\\]|^~|^\.|\.(csv|tsv|jsonl?|parquet|ya?ml|txt|md)$", re.IGNORECASE)


def without_paths(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings, nested, without those that name a file or folder by their key or by how the value looks."""
    kept: dict[str, Any] = {}
    for key, value in settings.items():
        if key in PATH_KEYS:
            continue
        if isinstance(value, Mapping):
            kept[key] = without_paths(value)
        elif isinstance(value, list | tuple):
            kept[key] = [item for item in value if not looks_like_a_path(item)]
        elif not looks_like_a_path(value):
            kept[key] = value
    return kept


def looks_like_a_path(value: Any) -> bool:
    """Whether a value looks like the name of a file or folder."""
    return isinstance(value, str) and bool(_PATH.search(value))
