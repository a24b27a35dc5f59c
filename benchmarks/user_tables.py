"""Tables of a user: CSV, JSON Lines or Parquet, each mistake one line that says what to mend."""

import csv
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mixsd.core.errors import DataError

KINDS = (".csv", ".jsonl", ".parquet")
LONGEST_CELL = 10_000_000


def read_table(
    key: str, path: Path, needed: tuple[str, ...], optional: tuple[str, ...]
) -> list[tuple[int, dict[str, Any]]]:
    """(line, record) of each row; empty cells of a CSV are empty text.

    Args:
        key: The setting that named the file, for messages.
        path: A file that is there, of one of `KINDS`.
        needed: Columns that it must have.
        optional: Columns that it may have.

    Raises:
        DataError: The file is unreadable, empty, of no known kind, not UTF-8, or has other columns.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(f"{key}={str(path)[:80]} is of no known kind; allowed: {', '.join(KINDS)}")
    try:
        rows = list(_READERS[kind](path))
    except DataError:
        raise
    except PermissionError as error:
        raise DataError(f"{key}={path} may not be read; change its permissions") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{key}={path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except (csv.Error, ValueError, OSError) as error:
        said = " ".join(str(error).split())[:200]
        raise DataError(f"{key}={str(path)[:80]} cannot be read as {kind[1:]} ({said})") from error
    if not rows:
        raise DataError(f"{path} holds no rows; give a header and one row a line")
    _check_columns(path, list(dict.fromkeys(c for _, row in rows for c in row)), needed, optional)
    return rows


def _check_columns(
    path: Path, columns: Sequence[str], needed: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    missing = [column for column in needed if column not in columns]
    more = f"; optional: {', '.join(optional)}" if optional else ""
    if missing:
        raise DataError(
            f"{path} lacks the column {' and '.join(missing)}; it has {', '.join(columns)}; "
            f"needed: {', '.join(needed)}{more}"
        )
    unknown = [column for column in columns if column not in (*needed, *optional)]
    if unknown:
        raise DataError(
            f"{path} has the unknown column {', '.join(unknown)}; "
            f"allowed: {', '.join((*needed, *optional))}; rename or remove it"
        )


def as_text(value: Any) -> str:
    """A cell as text, '' where it is missing.

    Raises:
        TypeError: It is neither text nor a number.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError
    return str(value).strip()


def as_list(value: Any) -> tuple[str, ...]:
    """A cell as texts: a list, or one text with `|` between its parts.

    Raises:
        TypeError: It is neither.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ()
    parts: Any = value.split("|") if isinstance(value, str) else value
    if isinstance(parts, dict) or not hasattr(parts, "__iter__"):
        raise TypeError
    return tuple(text for text in map(as_text, parts) if text)


Rows = Iterator[tuple[int, dict[str, Any]]]


def _csv(path: Path) -> Rows:
    csv.field_size_limit(LONGEST_CELL)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        header = next((row for row in reader if row), [])
        twice = [name for name, count in Counter(header).items() if count > 1]
        if twice:
            raise DataError(f"{path} has the column {twice[0]} twice; rename or remove one")
        line = reader.line_num + 1
        for cells in reader:
            if len(cells) > len(header):
                raise DataError(
                    f"{path}: line {line} has more fields than the header; put fields with commas in quotes"
                )
            if cells:
                yield line, dict(zip(header, [*cells, *[""] * (len(header) - len(cells))], strict=True))
            line = reader.line_num + 1


def _parquet(path: Path) -> Rows:
    import pandas as pd  # heavy, and only needed here

    frame = pd.read_parquet(path).convert_dtypes()
    for number, record in enumerate(frame.to_dict("records"), start=1):
        yield number, {str(k): None if v is pd.NA else v for k, v in record.items()}


def _json_lines(path: Path) -> Rows:
    for number, line in enumerate(path.read_text(encoding="utf-8-sig").split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number} is not JSON ({getattr(error, 'msg', error)})") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number} is no JSON object; give one with a value for each column")
        yield number, record


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no value")


_READERS: dict[str, Callable[[Path], Rows]] = {".csv": _csv, ".jsonl": _json_lines, ".parquet": _parquet}
