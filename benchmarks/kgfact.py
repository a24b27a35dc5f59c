"""Factual recall: a synthetic world graph of invented names (docs: protocol, "Factual recall").

Relations run only from an earlier domain to a later one, each relation belongs to one ordered pair of
domains, and every entity has exactly one outgoing edge per later domain. Within a pair the targets are
a permutation, so neither (entity, relation) nor (relation, target) is ever ambiguous.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import yaml

from benchmarks.answers import GRADER_DIGEST, find_format
from mixsd.draws import shuffled, uniform
from mixsd.errors import SettingError, at_least
from mixsd.knowledge import Axis, Fact, Probe, Verdict

VOCABULARY = Path(__file__).parent / "kgfact_vocabulary.yaml"

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
AXES = {"recall": Axis.MEMORIZATION, "paraphrase": Axis.GENERALIZATION}


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
    edges: dict[str, Edge] = {}
    for source_domain, target_domain in combinations(listed[:domains], 2):
        pair = f"{source_domain['name']}-{target_domain['name']}"
        sources = source_domain["entities"][:entities]
        targets = shuffled(target_domain["entities"][:entities], "targets", seed, pair)
        kinds = vocabulary["relations"][source_domain["name"]][target_domain["name"]]
        relations = shuffled(kinds, "relations", seed, pair)
        for index, (source, target) in enumerate(zip(sources, targets, strict=True)):
            edge = Edge(source, relations[index % len(relations)], target, target_domain["noun"])
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
        seed: Draws the world and the order.

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
    ) -> None:
        self.name = name
        self.max_new_tokens = at_least("task.max_new_tokens", max_new_tokens, 1)
        self._format = find_format(answer_format)
        self.identity = {"grader": GRADER_DIGEST, "answer_format": answer_format}
        edges = build_world(domains, entities, seed)
        if facts is not None and not 1 <= facts <= len(edges):
            raise SettingError(f"task.facts={facts} is out of range; this world has 1 to {len(edges)} facts")
        edges = edges[:facts]
        self.facts = [self._fact(edge) for edge in edges]
        self.probes = [probe for edge in edges for probe in self._probes(edge, seed)]
        self._rivals = sorted({edge.target for edge in edges})

    def axis(self, split: str) -> Axis:
        """Recall is memorization; a paraphrase asks for the same fact in words not trained on."""
        return AXES[split]

    def grade(self, text: str, answers: Sequence[str], *, prompt: str, truncated: bool) -> Verdict:
        """Grade a completion; the other facts' answers are rivals."""
        return self._format.grade(text, answers, prompt=prompt, truncated=truncated, rivals=self._rivals)

    def _fact(self, edge: Edge) -> Fact:
        return Fact(
            id=edge.id,
            question=edge.question,
            prompt=self._format.prompt(edge.question),
            answer=edge.target,
            gold_text=self._format.gold_text(edge.sentence, edge.target),
            category=edge.relation,
        )

    def _probes(self, edge: Edge, seed: int) -> list[Probe]:
        """The trained question, one rewording and one wrapped question (which ones is drawn by fact)."""
        reworded = REWORDINGS[int(uniform("rewording", seed, edge.id) * len(REWORDINGS))]
        prefix = PREFIXES[int(uniform("prefix", seed, edge.id) * len(PREFIXES))]
        asked = [
            ("recall", "trained", edge.question),
            ("paraphrase", "reworded", reworded.format(**vars(edge))),
            ("paraphrase", "prefixed", prefix.format(question=edge.question)),
        ]
        return [
            Probe(f"{edge.id} / {kind}", split, self._format.prompt(text), (edge.target,), edge.id, kind)
            for split, kind, text in asked
        ]
