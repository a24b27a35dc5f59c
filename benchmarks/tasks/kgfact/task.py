"""Factual recall: a synthetic world graph of invented names (the paper's KGFact).

Relations run only from an earlier domain to a later one, each relation belongs to one ordered pair of
domains, and every entity has exactly one outgoing edge per later domain. Within a pair the targets are
a permutation, so neither (entity, relation) nor (relation, target) is ever ambiguous.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import common_probes, paraphrase, take
from mixsd.core.draws import shuffled, uniform
from mixsd.core.errors import SettingError, at_least
from mixsd.core.grading import find_format
from mixsd.core.questions import Axis, Fact, Probe

ABOUT = (
    "A world of invented names, drawn from benchmarks/tasks/kgfact/vocabulary.yaml, written for this project "
    "(Apache-2.0)."
)
VOCABULARY = Path(__file__).parent / "vocabulary.yaml"

REWORDINGS = (
    "Which {noun} is the {relation} of {source}?",
    "Tell me what the {relation} of {source} is called.",
    "{source} has a {relation}. What is it called?",
    "Name the {noun} that is the {relation} of {source}.",
)
PREFIXES = (
    "I am writing a short article and I need to check one thing. {question}",
    "My friend and I could not agree about this yesterday. {question}",
    "Good morning! I hope you are well. Here is my question for you. {question}",
    "Please help me with the following. {question}",
)
TWO_HOP, RETRIEVAL = "two_hop", "retrieval"
AXES = {**COMMON, TWO_HOP: Axis.GENERALIZATION, RETRIEVAL: Axis.RETENTION}
STATEMENTS = "Read these statements.\n{statements}\n\n{question}"


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
    vocabulary = yaml.safe_load(VOCABULARY.read_text(encoding="utf-8"))
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
    vocabulary = yaml.safe_load(VOCABULARY.read_text(encoding="utf-8"))
    listed = vocabulary["domains"][:domains]
    taken = {name for domain in vocabulary["domains"] for name in domain["entities"]}
    names = {}
    for domain in listed:
        firsts = shuffled(domain["entities"], "first halves", seed, domain["name"])
        lasts = shuffled(domain["entities"], "last halves", seed, domain["name"])
        spliced = [_splice(a, b) for a, b in zip(firsts, lasts, strict=True) if a != b]
        names[domain["name"]] = [name for name in dict.fromkeys(spliced) if name not in taken][:entities]
    return _draw_edges(vocabulary, names, seed)


def _splice(first: str, last: str) -> str:
    """The first half of each word of one name before the last half of the other's."""
    pairs = zip(first.split(), last.split(), strict=True)
    return " ".join(a[: (len(a) + 1) // 2] + b[len(b) // 2 :] for a, b in pairs)


def _draw_edges(vocabulary: Any, names: Mapping[str, Sequence[str]], seed: int) -> list[Edge]:
    edges: dict[str, Edge] = {}
    nouns = {domain["name"]: domain["noun"] for domain in vocabulary["domains"]}
    for source_domain, target_domain in combinations(names, 2):
        pair = f"{source_domain}-{target_domain}"
        count = min(len(names[source_domain]), len(names[target_domain]))
        sources = names[source_domain][:count]
        targets = shuffled(names[target_domain][:count], "targets", seed, pair)
        kinds = vocabulary["relations"][source_domain][target_domain]
        relations = shuffled(kinds, "relations", seed, pair)
        for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
            edge = Edge(source, relations[index % len(relations)], target, nouns[target_domain])
            edges[edge.id] = edge
    return [edges[key] for key in shuffled(edges, "facts", seed)]


class KGFact:
    """Factual recall over a drawn world.

    Args:
        name: The task's name in run ids.
        domains: Domains of the vocabulary that take part.
        entities: Entities per domain.
        facts: Take this many facts, a prefix of the seeded order (None: all).
        answer_format: `plain` or `boxed`.
        max_new_tokens: Token budget of a reply.
        seed: Draws the world, the order and the probes.
        retrieval: Probes about unseen entities whose answer stands in the prompt.
        statements: Statements in such a prompt, the one that answers included.

    Raises:
        SettingError: A size is out of range or the answer format unknown.
    """

    def __init__(
        self,
        name: str,
        domains: int,
        entities: int,
        facts: int | None,
        answer_format: str,
        max_new_tokens: int,
        seed: int,
        retrieval: int = 0,
        statements: int = 12,
    ) -> None:
        self.name = name
        self.about = ABOUT
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        self._format = find_format(answer_format)
        self.axes = AXES
        edges = take(build_world(domains, entities, seed), facts, "this world")
        # Of the answer's own kind: a reply may state the hop in between, which is of another.
        of_kind: dict[str, set[str]] = {}
        for edge in edges:
            of_kind.setdefault(edge.noun, set()).add(edge.target)
        self._rivals = {noun: tuple(sorted(targets)) for noun, targets in of_kind.items()}
        self.facts = [self._fact(edge) for edge in edges]
        at_least("task.retrieval", retrieval, 0)
        at_least("task.statements", statements, 1)
        unseen = unseen_world(domains, entities, seed) if retrieval else []
        if retrieval > len(unseen) or (retrieval and statements > len(unseen)):
            raise SettingError(
                f"task.retrieval={retrieval} and task.statements={statements} are out of range; "
                f"this world has {len(unseen)} unseen statements"
            )
        self._shown = tuple(sorted({edge.target for edge in unseen}))
        common = common_probes(self.facts, self._format)
        self.probes = [
            *common[: len(edges)],
            *(
                p
                for edge, fact in zip(edges, self.facts, strict=True)
                for p in self._paraphrases(edge, fact, seed)
            ),
            *common[len(edges) :],
            *(self._two_hop(a, b) for a in edges for b in edges if a.target == b.source),
            *(self._retrieval(edge, unseen, statements, seed) for edge in unseen[:retrieval]),
        ]

    def _fact(self, edge: Edge) -> Fact:
        return Fact(
            edge.id,
            self._format.question(edge.question, (edge.target,), rivals=self._rivals[edge.noun]),
            self._format.gold_text(edge.sentence, edge.target),
            category=edge.relation,
            subject=edge.source,
        )

    def _paraphrases(self, edge: Edge, fact: Fact, seed: int) -> list[Probe]:
        """One rewording and one wrapped question (which ones is drawn by fact)."""
        reworded = REWORDINGS[int(uniform("rewording", seed, edge.id) * len(REWORDINGS))]
        prefix = PREFIXES[int(uniform("prefix", seed, edge.id) * len(PREFIXES))]
        return [
            paraphrase(fact, reworded.format(**vars(edge)), self._format, "reworded"),
            paraphrase(fact, prefix.format(question=edge.question), self._format, "prefixed"),
        ]

    def _two_hop(self, first: Edge, second: Edge) -> Probe:
        """The second edge's question, its entity described by the first edge."""
        described = f"the {first.noun} that is the {first.relation} of {first.source}"
        asks = f"What is the name of the {second.relation} of {described}?"
        question = self._format.question(asks, (second.target,), rivals=self._rivals[second.noun])
        # Questions that begin with the same fact stand and fall with it.
        return Probe(f"{first.id} / {second.relation}", TWO_HOP, question, unit=first.id)

    def _retrieval(self, edge: Edge, unseen: Sequence[Edge], statements: int, seed: int) -> Probe:
        """The question about an unseen entity, its answer among other statements, the nearest first."""
        others = {other.id: other for other in unseen if other.id != edge.id}
        near = {key for key, o in others.items() if edge.source == o.source or edge.relation == o.relation}
        drawn = sorted(shuffled(others, "statements", seed, edge.id), key=lambda key: key not in near)
        shown = {edge.id: edge, **{key: others[key] for key in drawn[: statements - 1]}}
        lines = [shown[key].sentence for key in shuffled(shown, "order of statements", seed, edge.id)]
        prompt = STATEMENTS.format(statements="\n".join(lines), question=edge.question)
        question = self._format.question(prompt, (edge.target,), rivals=self._shown)
        # What the statements name is no excuse: only the question's own names are no rivals.
        return Probe(f"{edge.id} / shown", RETRIEVAL, replace(question, asks=edge.question))
