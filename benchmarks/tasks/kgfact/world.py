"""The world of KGFact: a drawn graph of invented names (the paper's KGFact).

Relations run only from an earlier domain to a later one, each relation belongs to one ordered pair of
domains, and every entity has exactly one outgoing edge per later domain. Within a pair the targets are
a permutation, so neither (entity, relation) nor (relation, target) is ever ambiguous.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from mixsd.core.draws import shuffled
from mixsd.core.errors import SettingError

VOCABULARY = Path(__file__).parent / "vocabulary.yaml"


@dataclass(frozen=True)
class Edge:
    """One edge of the world: the `relation` of `source` is `target`, a `noun`."""

    source: str
    relation: str
    target: str
    noun: str

    @property
    def id(self) -> str:
        """A name that no other edge has."""
        return f"{self.source} / {self.relation}"

    @property
    def question(self) -> str:
        """The trained question."""
        return f"What is the name of the {self.relation} of {self.source}?"

    @property
    def sentence(self) -> str:
        """The gold sentence."""
        return f"The {self.relation} of {self.source} is called {self.target}."


def build_world(domains: int, entities: int, seed: int) -> list[Edge]:
    """Draw a world: `entities` * domains * (domains - 1) / 2 edges, ordered by a seeded shuffle.

    Args:
        domains: How many of the vocabulary's domains take part.
        entities: Entities per domain.
        seed: Draws targets, relations and order. The result depends on nothing else.

    Raises:
        SettingError: The vocabulary has fewer domains or entities.
    """
    vocabulary = _vocabulary()
    listed = vocabulary["domains"]
    if not 2 <= domains <= len(listed):
        raise SettingError(f"task.domains={domains} is out of range; allowed: 2 to {len(listed)}")
    most = min(len(domain["entities"]) for domain in listed[:domains])
    if not 1 <= entities <= most:
        raise SettingError(f"task.entities={entities} is out of range; allowed: 1 to {most}")
    names = {domain["name"]: domain["entities"][:entities] for domain in listed[:domains]}
    return _draw_edges(vocabulary, names, seed)


def unseen_world(domains: int, entities: int, seed: int) -> list[Edge]:
    """A world of the same relations; its entities are spliced from two names each and are never trained."""
    vocabulary = _vocabulary()
    listed = vocabulary["domains"][:domains]
    taken = {name for domain in vocabulary["domains"] for name in domain["entities"]}
    names = {}
    for domain in listed:
        firsts = shuffled(domain["entities"], "first halves", seed, domain["name"])
        lasts = shuffled(domain["entities"], "last halves", seed, domain["name"])
        # A name spliced with itself is that name, which is trained.
        spliced = [_splice(a, b) for a, b in zip(firsts, lasts, strict=True) if a != b]
        names[domain["name"]] = [name for name in dict.fromkeys(spliced) if name not in taken][:entities]
    return _draw_edges(vocabulary, names, seed)


@cache
def _vocabulary() -> Any:
    return yaml.safe_load(VOCABULARY.read_text(encoding="utf-8"))


def _splice(first: str, last: str) -> str:
    """The first half of each word of one name before the last half of the other's."""
    pairs = zip(first.split(), last.split(), strict=True)
    return " ".join(a[: (len(a) + 1) // 2] + b[len(b) // 2 :] for a, b in pairs)


def _draw_edges(vocabulary: Any, names: Mapping[str, Sequence[str]], seed: int) -> list[Edge]:
    edges: dict[str, Edge] = {}
    nouns = {domain["name"]: domain["noun"] for domain in vocabulary["domains"]}
    for source_domain, target_domain in combinations(names, 2):
        pair = f"{source_domain}-{target_domain}"
        # A spliced domain of the unseen world may have lost names that exist.
        count = min(len(names[source_domain]), len(names[target_domain]))
        sources = names[source_domain][:count]
        targets = shuffled(names[target_domain][:count], "targets", seed, pair)
        kinds = vocabulary["relations"][source_domain][target_domain]
        relations = shuffled(kinds, "relations", seed, pair)
        for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
            # Relations take turns, so each has about as many edges as any other.
            edge = Edge(source, relations[index % len(relations)], target, nouns[target_domain])
            edges[edge.id] = edge
    # `task.facts` takes a prefix of this order, which must reach all domains.
    return [edges[key] for key in shuffled(edges, "facts", seed)]
