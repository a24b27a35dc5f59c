from collections import Counter
from itertools import combinations

import pytest
import yaml

from benchmarks.tasks.kgfact.task import PREFIXES, KGFact
from benchmarks.tasks.kgfact.world import VOCABULARY, Edge, build_world
from mixsd.core.errors import SettingError
from mixsd.core.grading import grade
from mixsd.core.questions import Axis, Outcome

SMALL, LARGE = (5, 10), (7, 25)
vocabulary = yaml.safe_load(VOCABULARY.read_text())


def kgfact(facts=None, form="plain", seed=0):
    return KGFact("kgfact_small", *SMALL, facts, form, 48, seed)


@pytest.mark.parametrize(("size", "count"), [(SMALL, 100), (LARGE, 525)])
@pytest.mark.parametrize("seed", [0, 1])
def test_world_is_unambiguous(size, count, seed):
    edges = build_world(*size, seed)
    assert len(edges) == count == len({edge.id for edge in edges})
    assert len({(edge.source, edge.relation) for edge in edges}) == count
    assert len({(edge.relation, edge.target) for edge in edges}) == count
    domain = {e: i for i, d in enumerate(vocabulary["domains"]) for e in d["entities"]}
    assert all(domain[edge.source] < domain[edge.target] for edge in edges)
    outgoing = Counter((edge.source, domain[edge.target]) for edge in edges)
    assert set(outgoing.values()) == {1}, "one outgoing edge per later domain"
    pairs = {}
    for edge in edges:
        pairs.setdefault(edge.relation, set()).add((domain[edge.source], domain[edge.target]))
    assert all(len(found) == 1 for found in pairs.values()), "a relation belongs to one pair"


def test_seed_draws_another_world_and_prefix_is_a_prefix():
    assert [f.gold_text for f in kgfact().facts] != [f.gold_text for f in kgfact(seed=1).facts]
    few, all_of_them = ([(f.id, f.prompt, f.gold_text) for f in kgfact(n).facts] for n in (24, None))
    assert few == all_of_them[:24], "rivals aside, which are the answers of the facts that are taken"
    assert len({fact.category for fact in kgfact(24).facts}) > 15, "the order mixes relations"


def test_vocabulary():
    domains = vocabulary["domains"]
    names = [name for domain in domains for name in domain["entities"]]
    parts = [part for name in names for part in name.split()]
    assert all(len(domain["entities"]) == 25 for domain in domains)
    assert len(set(names)) == len(names) and len(set(parts)) == len(parts)
    assert not [
        (a, b)
        for a, b in combinations(parts, 2)
        if a.casefold() in b.casefold() or b.casefold() in a.casefold()
    ]
    phrases = [
        phrase
        for a, b in combinations([domain["name"] for domain in domains], 2)
        for phrase in vocabulary["relations"][a][b]
    ]
    assert len(phrases) == 210 == len(set(phrases))
    assert all(1 <= len(phrase.split()) <= 4 and phrase == phrase.lower() for phrase in phrases)


@pytest.mark.parametrize("form", ["plain", "boxed"])
def test_gold_is_graded_correct_and_another_fact_wrong(form):
    task = kgfact(form=form)
    for fact, other in zip(task.facts, task.facts[1:], strict=False):
        assert grade(fact.gold_text, fact.question, ended=True).outcome is Outcome.CORRECT
        if other.answer != fact.answer:
            wrong = fact.gold_text.replace(fact.answer, other.answer)
            assert grade(wrong, fact.question, ended=True).outcome is Outcome.WRONG


def test_splits():
    task = kgfact()
    by_kind = Counter((probe.split, probe.kind) for probe in task.probes)
    assert by_kind == {
        ("recall", "trained"): 100,
        ("paraphrase", "reworded"): 100,
        ("paraphrase", "prefixed"): 100,
        ("recall_shifted", "system"): 100,
        ("recall_shifted", "second_turn"): 100,
        ("two_hop", ""): 100,
    }
    assert task.axes["recall"] is Axis.MEMORIZATION and task.axes["paraphrase"] is Axis.GENERALIZATION
    trained = {fact.prompt for fact in task.facts}
    assert {p.question.prompt for p in task.probes if p.split == "recall"} == trained
    reworded = [p for p in task.probes if p.kind == "reworded"]
    assert not any(fact.question.asked in p.question.prompt for p in reworded for fact in task.facts), (
        "not the trained words"
    )
    prefixed = [p for p in task.probes if p.kind == "prefixed"]
    assert all(any(p.question.prompt.startswith(x.split("{")[0]) for x in PREFIXES) for p in prefixed)
    assert len({probe.id for probe in task.probes}) == len(task.probes) == 600


def test_no_prompt_is_built_from_its_own_answer(monkeypatch):
    """Replace the gold of each edge by a sentinel: no naive or probe prompt may show it."""
    import benchmarks.tasks.kgfact.task as module

    real = build_world
    sentinel = lambda *a: [Edge(e.source, e.relation, "SENTINEL", e.noun) for e in real(*a)]
    monkeypatch.setattr(module, "build_world", sentinel)
    task = kgfact()
    assert all("SENTINEL" in fact.gold_text for fact in task.facts)
    assert not any("SENTINEL" in fact.prompt for fact in task.facts)
    assert not any("SENTINEL" in probe.question.prompt for probe in task.probes)
    assert all(fact.answer not in fact.prompt for fact in kgfact().facts)


@pytest.mark.parametrize("facts", [0, -3, 101])
def test_size_out_of_range(facts):
    with pytest.raises(SettingError, match=f"task.facts={facts}.*1 to 100"):
        kgfact(facts)


def test_two_hops_are_over_trained_facts_and_answer_the_second():
    task = kgfact(48)
    gold = {(f.prompt, f.answer) for f in task.facts}
    hops = [probe for probe in task.probes if probe.split == "two_hop"]
    assert 10 < len(hops) < 100
    by_source = {f.id: f for f in task.facts}
    for probe in hops:
        first, _, second = probe.id.rpartition(" / ")
        middle = by_source[first].answer
        assert (f"What is the name of the {second} of {middle}?", probe.question.accepted[0]) in gold
        assert middle not in probe.question.prompt and probe.question.accepted[0] not in probe.question.prompt


def test_retrieval_shows_unseen_statements_among_near_ones():
    task = KGFact("k", *LARGE, None, "plain", 48, 0, retrieval=20, statements=30)
    trained = {name for domain in vocabulary["domains"] for name in domain["entities"]}
    shown = [probe for probe in task.probes if probe.split == "retrieval"]
    assert len(shown) == 20 and task.axes["retrieval"] is Axis.RETENTION
    for probe in shown:
        *statements, _, question = probe.question.prompt.splitlines()[1:]
        source = question.split(" of ")[-1].rstrip("?")
        relation = question.removeprefix("What is the name of the ").removesuffix(f" of {source}?")
        assert len(statements) == 30 and source not in trained and probe.question.accepted[0] not in trained
        (told,) = [s for s in statements if f" {relation} of {source} is" in s]
        assert told.endswith(f"{probe.question.accepted[0]}.")
        assert sum(source in s or f" {relation} of " in s for s in statements) >= 2, "near ones first"
    with pytest.raises(SettingError, match="unseen statements"):
        KGFact("k", *SMALL, None, "plain", 48, 0, retrieval=1000)


def test_shifted_probes_change_the_circumstances_only():
    for form, kinds in (("plain", {"system", "second_turn"}), ("boxed", {"system", "second_turn", "bare"})):
        task = kgfact(2, form)
        shifted = [probe for probe in task.probes if probe.split == "recall_shifted"]
        assert {probe.kind for probe in shifted} == kinds
        for probe in shifted:
            fact = next(fact for fact in task.facts if fact.id == probe.fact_id)
            assert fact.question.asked in probe.question.prompt and probe.question.accepted == fact.answers
            assert bool(probe.question.system) == (probe.kind == "system")
            assert bool(probe.question.history) == (probe.kind == "second_turn")
            assert ("boxed" in probe.question.prompt) == (form == "boxed" and probe.kind != "bare")
    bare = next(probe for probe in task.probes if probe.kind == "bare")
    reply = f"It is called {bare.question.accepted[0]}."
    assert grade(reply, bare.question, ended=True).outcome is Outcome.CORRECT
    assert grade(reply, task.facts[0].question, ended=True).outcome is Outcome.UNPARSABLE


def test_a_reply_may_state_the_hop_in_between():
    task = KGFact("kgfact_small", 5, 10, None, "plain", 48, 0)
    probe = next(p for p in task.probes if p.split == "two_hop")
    between = next(f for f in task.facts if probe.id.startswith(f"{f.id} / "))
    last = next(
        f for f in task.facts if f.subject == between.answer and f.answer == probe.question.accepted[0]
    )

    def outcome(text):
        return grade(text, probe.question, ended=True).outcome

    assert outcome(f"{between.gold_text} {last.gold_text}") is Outcome.CORRECT
    other = next(name for name in last.question.rivals if name != last.answer)
    assert outcome(f"It is {last.answer}. It is {other}.") is Outcome.WRONG


def test_echoing_the_statements_is_no_answer():
    task = KGFact("kgfact_small", 5, 10, None, "plain", 48, 0, retrieval=6)
    probe = next(p for p in task.probes if p.split == "retrieval")
    statements = probe.question.prompt.partition("\n\n")[0].split("\n", 1)[1]
    for text, outcome in (
        (statements, Outcome.WRONG),
        (f"It is {probe.question.accepted[0]}.", Outcome.CORRECT),
    ):
        assert grade(text, probe.question, ended=True).outcome is outcome


def test_questions_that_begin_with_one_fact_count_as_one():
    """An entity leads to several second facts; they stand and fall with the edge that leads to it."""
    hops = [probe for probe in kgfact().probes if probe.split == "two_hop"]
    facts = {fact.id for fact in kgfact().facts}
    assert {probe.counted_as for probe in hops} <= facts
    sources = {probe.counted_as.split(" / ")[0] for probe in hops}
    assert len(sources) < len({probe.counted_as for probe in hops}) < len(hops)
