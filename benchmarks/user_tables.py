"""Tables of a user: CSV, JSON Lines, JSON or Parquet, each mistake one line that says what to mend."""

import csv
import datetime
import decimal
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from mixsd.core.errors import DataError

KINDS = (".csv", ".tsv", ".jsonl", ".ndjson", ".json", ".parquet")
SEPARATORS = (",", ";", "\t")
LONGEST_CELL = 10_000_000
NEAR = 0.8
"""Likeness of names at which an unknown column is taken for a slip of the pen."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
Record = dict[str, Any]
Rows = Iterator[tuple[int, Record]]


@dataclass(frozen=True)
class Table:
    """Rows of a user's file.

    Attributes:
        rows: (line, record) of each row; empty cells of a CSV are empty text.
        notes: What the user is told of how it was read, a sentence each.
    """

    rows: list[tuple[int, Record]]
    notes: tuple[str, ...]


def read_table(
    key: str,
    path: Path,
    needed: tuple[str, ...],
    optional: tuple[str, ...],
    adapt: Callable[[Record], tuple[Record, str]] = lambda record: (record, ""),
) -> Table:
    """Read a table; capitals and spaces of column names do not matter.

    Args:
        key: The setting that named the file, for messages.
        path: A file that is there, of one of `KINDS`.
        needed: Columns that it must have.
        optional: Columns that it may have.
        adapt: Another layout -> (record with these columns, a note on what was read as what).

    Raises:
        DataError: The file is unreadable, empty, of no known kind or encoding, lacks a column, or has one
            that is nearly named like a known one; or a cell holds what is no text.
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
    read = [(line, *_adapted(path, line, record, adapt)) for line, record in rows]
    columns = list(dict.fromkeys(column for _, record, _ in read for column in record))
    unused = _unused(path, columns, needed, optional)
    notes = list(dict.fromkeys(note for _, _, note in read if note))
    if unused:
        notes.append(f"columns of {key} that are not used: {', '.join(unused)}")
    kept = [
        (line, {key: value for key, value in record.items() if key not in unused}) for line, record, _ in read
    ]
    for line, record in kept:
        _see_that_it_is_text(path, line, record)
    return Table(kept, tuple(notes))


def _adapted(
    path: Path, line: int, record: Record, adapt: Callable[[Record], tuple[Record, str]]
) -> tuple[Record, str]:
    try:
        return adapt(_named(path, line, record))
    except ValueError as error:
        raise error if isinstance(error, DataError) else DataError(f"{path}: line {line}: {error}") from error


def _named(path: Path, line: int, record: Record) -> Record:
    """A record by the plain names of its columns; those without a name must be empty."""
    named: Record = {}
    for column, value in record.items():
        name = str(column).strip().casefold()
        if name in named:
            raise DataError(f"{path}: line {line} has the column {name} twice; rename or remove one")
        if name:
            named[name] = value
        elif value not in ("", None):
            raise DataError(
                f"{path}: line {line} has text in a column without a name; name it in the header, or put "
                "fields that hold the separator in quotes"
            )
    return named


def _unused(
    path: Path, columns: Sequence[str], needed: tuple[str, ...], optional: tuple[str, ...]
) -> list[str]:
    """Columns that are nobody's.

    Raises:
        DataError: One is missing, or one is nearly a known one.
    """
    known = (*needed, *optional)
    unknown = [column for column in columns if column not in known]
    missing = [column for column in needed if column not in columns]
    more = f"; optional: {', '.join(optional)}" if optional else ""
    if missing:
        raise DataError(
            f"{path} lacks the column {' and '.join(missing)}; it has {', '.join(columns)[:200]}; "
            f"needed: {', '.join(needed)}{more}; rename its columns"
        )
    for column in unknown:
        if near := get_close_matches(column, known, n=1, cutoff=NEAR):
            raise DataError(
                f"{path} has the unknown column {column}; did you mean {near[0]}? rename or remove it"
            )
    return unknown


def _see_that_it_is_text(path: Path, line: int, record: Record) -> None:
    """Refuse halves of characters and NULs: nothing could print, store or train them."""
    for column, value in record.items():
        for text in value if isinstance(value, list | tuple) else (value,):
            if not isinstance(text, str):
                continue
            if "\0" in text:
                raise DataError(f"{path}: line {line}: {column} holds a NUL character; save the file anew")
            if any("\ud800" <= char <= "\udfff" for char in text):
                raise DataError(
                    f"{path}: line {line}: {column} holds half a character (a lone surrogate); write it whole"
                )


def as_text(value: Any) -> str:
    """A cell as text, '' where it is missing.

    Raises:
        TypeError: It is neither text nor a number nor a day.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, datetime.datetime):
        value = value.date() if value.time() == datetime.time() else value
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, bool) or not isinstance(value, str | int | float | decimal.Decimal):
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


def _decoded(path: Path) -> str:
    """The text of a file in UTF-8, or in UTF-16 as Excel writes it."""
    raw = path.read_bytes()
    return raw.decode("utf-16" if raw[:2] in _UTF16 else "utf-8-sig")


def _csv(path: Path) -> Rows:
    csv.field_size_limit(LONGEST_CELL)
    told, text = _told_separator(_decoded(path))
    separator = told or _separator(text)
    file = io.StringIO(text, newline="")
    reader = csv.reader(file, delimiter=separator, strict=True, skipinitialspace=True)
    header = [name.strip() for name in next((row for row in reader if any(map(str.strip, row))), [])]
    twice = [name for name, count in Counter(map(str.casefold, header)).items() if name and count > 1]
    if twice:
        raise DataError(f"{path} has the column {twice[0]} twice; rename or remove one")
    above = 1 if told else 0
    line = reader.line_num + 1 + above
    for cells in reader:
        nameless = [cell for name, cell in zip(header, cells, strict=False) if not name and cell.strip()]
        nameless += [cell for cell in cells[len(header) :] if cell.strip()]
        if nameless:
            shown = {"\t": "tabs", ";": "semicolons"}.get(separator, "commas")
            raise DataError(
                f"{path}: line {line} has more fields than the header; put fields with {shown} in quotes"
            )
        if any(map(str.strip, cells)):
            full = [*cells, *[""] * (len(header) - len(cells))]
            yield line, {name: cell for name, cell in zip(header, full, strict=False) if name}
        line = reader.line_num + 1 + above


def _told_separator(text: str) -> tuple[str, str]:
    """The separator that a first line `sep=;` tells, as Excel writes it, and the text below; '' for none."""
    first, _, rest = text.partition("\n")
    first = first.strip()
    return (first[4:], rest) if first[:4] == "sep=" and len(first) == 5 else ("", text)


def _separator(text: str) -> str:
    """What parts the fields of the header: the sign that makes most of them."""
    header = next((line for line in text.splitlines() if line.strip()), "")
    return max(SEPARATORS, key=lambda sign: (header.count(sign), sign == ","))


def _parquet(path: Path) -> Rows:
    import pandas as pd  # heavy, and only needed here

    frame = pd.read_parquet(path).convert_dtypes()
    for number, record in enumerate(frame.to_dict("records"), start=1):
        yield number, {str(k): None if v is pd.NA or v is pd.NaT else _plain(v) for k, v in record.items()}


def _plain(value: Any) -> Any:
    """Lists of a data frame are arrays."""
    return value.tolist() if hasattr(value, "tolist") and getattr(value, "ndim", 0) else value


def _json(path: Path) -> Rows:
    """A list of records; the line of a record is its number."""
    if _decoded(path).lstrip()[:1] == "{":
        yield from _json_lines(path)  # what many call .json
        return
    try:
        found = json.loads(_decoded(path), parse_constant=_no_constant, parse_float=decimal.Decimal)
    except (json.JSONDecodeError, RecursionError) as error:
        where = f" line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise DataError(
            f"{path}{where} is not JSON ({getattr(error, 'msg', error)}); one object a line is .jsonl"
        ) from error
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise DataError(f"{path} is no list of JSON objects; give one with an object for each row")
    yield from enumerate(found, start=1)


def _json_lines(path: Path) -> Rows:
    for number, line in enumerate(_decoded(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            record = json.loads(line, parse_constant=_no_constant, parse_float=decimal.Decimal)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}:{number} is not JSON ({getattr(error, 'msg', error)})") from error
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number} is no JSON object; give one with a value for each column")
        yield number, record


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no value")


_READERS: dict[str, Callable[[Path], Rows]] = {
    ".csv": _csv,
    ".tsv": _csv,
    ".jsonl": _json_lines,
    ".ndjson": _json_lines,
    ".json": _json,
    ".parquet": _parquet,
}
