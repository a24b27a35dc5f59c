"""Random numbers without a generator: pure functions of named keys, equal on every machine.

Nothing that is trained on or asked comes from a shared generator, so a different batch size, subset,
order or resume cannot change it, nor can `PYTHONHASHSEED`.
"""

import json
from collections.abc import Iterable
from hashlib import blake2b

_BITS = 53
"""What a float holds exactly: with 64 bits the largest number would round up to 1."""


def uniform(*key: str | int) -> float:
    """A number in [0, 1) that depends on `key` alone."""
    digest = blake2b(json.dumps(key, ensure_ascii=True).encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> (64 - _BITS)) * 2.0**-_BITS


def shuffled(items: Iterable[str], *key: str | int) -> list[str]:
    """The items in an order that depends on `key` and on the items alone, not on the order they came in."""
    return sorted(items, key=lambda item: (uniform(*key, item), item))
