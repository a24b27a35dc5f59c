"""Prompts about nothing in particular: what a model says to them shows how it speaks anyway."""

from importlib.resources import files

from mixsd.core.errors import DataError
from mixsd.core.files import File

BUNDLED = "general_prompts.txt"


def read_prompts(file: File | None = None) -> list[str]:
    """The prompts of a text file, one a line, each once (None: those that come with the package).

    Raises:
        DataError: The file cannot be read or holds no prompt.
    """
    source = file.path if file else files("mixsd.methods") / BUNDLED
    try:
        # utf-8-sig: a U+FEFF at the start is no part of the text.
        lines = source.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"method.prompts={file} cannot be read; give a UTF-8 text file, a prompt a line"
        ) from error
    # Each once, because answers are kept by prompt.
    prompts = list(dict.fromkeys(line.strip() for line in lines if line.strip()))
    if not prompts:
        raise DataError(f"method.prompts={file} holds no prompt; give one a line")
    return prompts
