"""Factual recall: questions about a world of invented names (the paper's KGFact)."""

from collections.abc import Sequence

from benchmarks.tasks.kgfact.world import Edge, build_world, unseen_world
from benchmarks.tasks.probes import AXES as COMMON
from benchmarks.tasks.probes import common_probes, paraphrase, take
from mixsd.core.draws import shuffled, uniform
from mixsd.core.errors import SettingError, at_least
from mixsd.core.formats import find_format
from mixsd.core.questions import Axis, Fact, Probe

ABOUT = (
    "A world of invented names, drawn from benchmarks/tasks/kgfact/vocabulary.yaml, written for this project "
    "(Apache-2.0)."
)
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
        name: str = "kgfact",
        domains: int = 5,
        entities: int = 10,
        facts: int | None = None,
        answer_format: str = "plain",
        max_new_tokens: int = 48,
        seed: int = 0,
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
            # `common_probes` gives recall first, one probe a fact.
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
        return Probe(f"{edge.id} / shown", RETRIEVAL, question.about(question.prompt, edge.question))
