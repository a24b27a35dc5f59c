"""Names in text, as whole words: what leaks and what overlaps are found by."""

import re
from collections.abc import Iterable

from mixsd.core.words import CODE


class Names:
    """Finds names in text. A code in capitals is found as written only, other names in any case.

    Args:
        names: What to look for; a number or a single letter is no name, it stands in too many texts.
    """

    def __init__(self, names: Iterable[str]) -> None:
        kept = {name for name in names if len(name) > 1 and any(char.isalpha() for char in name)}
        codes = {name for name in kept if CODE.fullmatch(name)}
        self._written = {name.casefold(): name for name in kept - codes}
        self._codes = _any_of(codes, 0)
        self._others = _any_of(kept - codes, re.IGNORECASE)

    def found_in(self, text: str) -> list[str]:
        """The names that a text holds, each once."""
        codes: list[str] = self._codes.findall(text) if self._codes else []
        others: list[str] = self._others.findall(text) if self._others else []
        return list(dict.fromkeys([*codes, *(self._written.get(o.casefold(), o) for o in others)]))


def stands_in(name: str, text: str) -> bool:
    """Whether a text holds a name, as `Names` finds it."""
    return bool(Names([name]).found_in(text))


def _any_of(names: Iterable[str], flags: int) -> re.Pattern[str] | None:
    """Longer names first, so that a name is not taken for one it begins with."""
    listed = "|".join(map(re.escape, sorted(names, key=lambda name: (-len(name), name))))
    return re.compile(rf"(?<!\w)(?:{listed})(?!\w)", flags) if listed else None
