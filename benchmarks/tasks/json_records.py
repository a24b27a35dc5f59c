"""Files of published sets: a JSON list of records, each mistake one line."""

import json
from pathlib import Path
from typing import Any

from mixsd.core.errors import DataError


def read_records(path: Path, schema: str, what: str = "records") -> list[Any]:
    """The records of a file.

    Args:
        path: The file.
        schema: Whose schema they follow, for messages.
        what: What messages call them.

    Raises:
        DataError: It cannot be read, is no JSON, or holds no list.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise DataError(
            f"task.path={path} cannot be read ({error.strerror}); give a file in the schema of {schema}"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 (byte {error.start}); save it as UTF-8") from error
    except json.JSONDecodeError as error:
        raise DataError(f"{path}:{error.lineno} is not JSON ({error.msg})") from error
    # Nested too deep, or a number with thousands of digits.
    except (RecursionError, ValueError) as error:
        raise DataError(f"{path} is not JSON that can be read ({error})") from error
    if not isinstance(found, list) or not found:
        raise DataError(f"{path} holds no list of {what}")
    return found


def text_of(value: Any) -> str:
    """A text that says something.

    Raises:
        TypeError: It is none.
    """
    if not isinstance(value, str) or not value.strip():
        raise TypeError(f"{value!r:.40} is no text")
    return value
