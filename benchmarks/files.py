"""Tables of a user: CSV, JSON Lines or Parquet, each mistake one line that says what to mend."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from mixsd.errors import DataError

KINDS = (".csv", ".jsonl", ".parquet")


def read_frame(key: str, path: Path) -> pd.DataFrame:
    """A table; empty cells of a CSV stay empty text.

    Args:
        key: The setting that named the file, for messages.
        path: A file of one of `KINDS`.

    Raises:
        DataError: The file is missing, a folder, unreadable, empty, of no known kind, or not UTF-8.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(f"{key}={path} is of no known kind; allowed: {', '.join(KINDS)}")
    if path.is_dir():
        raise DataError(f"{key}={path} is a folder; give a file")
    try:
        frame = _READERS[kind](key, path)
    except DataError:
        raise
    except FileNotFoundError as error:
        raise DataError(f"{key}={path} does not exist; give a .csv, .jsonl or .parquet file") from error
    except PermissionError as error:
        raise DataError(f"{key}={path} may not be read; change its permissions") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{key}={path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{key}={path} is empty; give a header and one row a line") from error
    except (pd.errors.ParserError, ValueError, OSError) as error:
        said = " ".join(str(error).split())
        raise DataError(f"{key}={path} cannot be read as {kind[1:]} ({said})") from error
    if not isinstance(frame.index, pd.RangeIndex):
        raise DataError(f"{path} has rows with more fields than its header; put fields with commas in quotes")
    return frame


def check_columns(
    path: Path, frame: pd.DataFrame, needed: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    """Refuse a table that lacks a needed column or has an unknown one.

    Raises:
        DataError: It does.
    """
    missing = [column for column in needed if column not in frame.columns]
    more = f"; optional: {', '.join(optional)}" if optional else ""
    if missing:
        raise DataError(
            f"{path} lacks the column {' and '.join(missing)}; it has {', '.join(map(str, frame.columns))}; "
            f"needed: {', '.join(needed)}{more}"
        )
    unknown = [str(column) for column in frame.columns if column not in (*needed, *optional)]
    if unknown:
        raise DataError(
            f"{path} has the unknown column {', '.join(unknown)}; "
            f"allowed: {', '.join((*needed, *optional))}; rename or remove it"
        )
    if frame.empty:
        raise DataError(f"{path} holds no rows; give one a line")


def as_text(value: Any) -> str:
    """A cell as text, '' where it is missing.

    Raises:
        TypeError: It is neither text nor a number.
    """
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    return str(value).strip()


def as_list(value: Any) -> tuple[str, ...]:
    """A cell as texts: a list, or one text with `|` between its parts.

    Raises:
        TypeError: It is neither.
    """
    if value is None or (isinstance(value, float) and pd.isna(value)):
        return ()
    parts: Any = value.split("|") if isinstance(value, str) else value
    if isinstance(parts, dict) or not hasattr(parts, "__iter__"):
        raise TypeError
    return tuple(text for text in map(as_text, parts) if text)


def _csv(key: str, path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")


def _parquet(key: str, path: Path) -> pd.DataFrame:
    return pd.read_parquet(path)


def _json_lines(key: str, path: Path) -> pd.DataFrame:
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise DataError(f"{path}:{number} is not JSON ({error.msg})") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number} is no JSON object; give one with a value for each column")
        records.append(record)
    if not records:
        raise DataError(f"{key}={path} is empty; give one JSON object a line")
    return pd.DataFrame(records)


_READERS: dict[str, Callable[[str, Path], pd.DataFrame]] = {
    ".csv": _csv,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}
