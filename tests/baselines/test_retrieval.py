"""Retrieval: BM25 by hand, what is shown for which prompt, and that nothing else moves."""

from dataclasses import replace
from math import log

import pytest

from baselines.in_context import InContext
from baselines.retrieval import Retrieval, Store
from benchmarks.studies.retrieval import main
from mixsd.core.errors import SettingError
from mixsd.core.questions import Fact, Probe, Question
from mixsd.lm.generate import generate
from mixsd.run.measure import ask
from tests.helpers.fakes import MemoryBench

TEXTS = ("red fox", "red hen sits", "blue fox red fox")


def facts(*texts: str) -> list[Fact]:
    return [Fact(f"f{n}", Question(f"Q{n}?", ("A",)), text) for n, text in enumerate(texts)]


def bm25(question: str, texts: tuple[str, ...], k1: float, b: float) -> list[float]:
    """By the formula, word by word, in units of a word of one text."""
    split = [text.split() for text in texts]
    count, mean = len(texts), sum(map(len, split)) / len(texts)

    def idf(word: str) -> float:
        df = sum(word in text for text in split)
        return log(1 + (count - df + 0.5) / (df + 0.5)) if df else 0.0

    unit = log(1 + (count - 0.5) / 1.5) / (1 + k1)
    return [
        sum(
            idf(word) * text.count(word) / (text.count(word) + k1 * (1 - b + b * len(text) / mean))
            for word in set(question.split())
        )
        / unit
        for text in split
    ]


@pytest.mark.parametrize("question", ["fox", "red", "hen fox", "blue blue fox", "red hen sits"])
@pytest.mark.parametrize(("k1", "b"), [(1.5, 0.75), (0.9, 0.0)])
def test_scores_are_those_of_the_formula(question, k1, b):
    wanted = bm25(question, TEXTS, k1, b)
    found = {one.fact.id: one.score for one in Store(facts(*TEXTS), k1, b).find(question, 3, 0)}
    assert found == pytest.approx({f"f{n}": score for n, score in enumerate(wanted) if score}, rel=1e-5)
    assert list(found.values()) == sorted(found.values(), reverse=True)


def test_equal_scores_go_to_the_earlier_fact_and_nothing_is_found_for_strangers():
    store = Store(facts("a b", "a b", "c d"))
    assert [one.fact.id for one in store.find("A?", 2, 0)] == ["f0", "f1"]
    assert store.find("zebra", 3, 0) == [] == store.find("?!", 3, 0) == Store([]).find("a", 3, 0)


def test_what_is_asked_of_all_facts_alike_moves_nothing():
    """A request for an answer format stands in every prompt, and its words in no text."""
    request = "Think step by step, and put your final answer in a box."
    store = Store(facts("Ilvor is the mother of Brant.", "Quenn is the mother of Tesk."))
    plain, asked = (store.find(f"Who is the mother of Tesk?{more}", 2, 0) for more in ("", f" {request}"))
    assert [one.fact.id for one in plain] == ["f1", "f0"] and plain == asked


def probe(prompt: str, fact_id: str = "") -> Probe:
    return Probe("p", "recall", Question(prompt, ("A",), format="plain"), fact_id)


def test_it_goes_by_the_words_and_never_by_the_fact_id(tiny):
    stored = facts("Ilvor is the mother of Brant.", "Quenn is the mother of Tesk.")
    edited = Retrieval("retrieval").edit(stored, tiny, MemoryBench())
    asked = [
        edited.ask(probe("Who is the mother of Tesk?", fact_id)) for fact_id in ("f0", "f1", "", "other")
    ]
    assert len(set(asked)) == 1 and "Quenn is the mother of Tesk." in asked[0].prompt
    assert asked[0].asked == "Who is the mother of Tesk?", "what is shown is no part of what is asked"
    assert edited.put("Who is the mother of Tesk?") == asked[0].prompt
    assert not edited.changed and edited.model is tiny
    assert edited.report["stored_texts"] == 2 and edited.report["stored_tokens"] > 8


def test_the_right_text_alone_is_what_in_context_shows(tiny):
    stored = [replace(fact, id=f"f{n}") for n, fact in enumerate(facts("Ilvor of Brant.", "Quenn of Tesk."))]
    one = probe("Who is of Tesk?", "f1")
    shown = InContext("in_context").edit(stored, tiny, MemoryBench()).ask(one)
    assert Retrieval("retrieval").edit(stored, tiny, MemoryBench()).ask(one) == shown


def test_all_texts_are_shown_best_first_and_none_above_the_threshold(tiny):
    stored = facts("one lamp", "one lamp two lamps", "one")
    asked = probe("lamp one two")

    def shown(**settings: float) -> str:
        return Retrieval("r", **settings).edit(stored, tiny, MemoryBench()).ask(asked).prompt  # type: ignore[arg-type]

    assert "one lamp two lamps\none lamp\none" in shown(k=3, threshold=0)
    assert shown(threshold=1e9) == asked.question.prompt


def test_held_out_prompts_are_put_too_and_the_base_is_untouched(tiny):
    edited = Retrieval("r").edit(facts("blue fox", "red hen"), tiny, MemoryBench())
    turns = [{"role": "user", "content": "The red hen?"}]
    put = edited.model.putting(edited.put).template.text(turns, reply_follows=True)
    assert "red hen" in put.replace("The red hen?", "") and "blue" not in put
    assert tiny.template.text(turns, reply_follows=True) != put
    whole = [*turns, {"role": "assistant", "content": "Yes."}]
    assert edited.model.putting(edited.put).template.text(whole, reply_follows=False) == tiny.template.text(
        whole, reply_follows=False
    ), "nothing is asked there"


def test_with_a_threshold_that_nothing_reaches_the_replies_are_those_of_the_base(tiny):
    edited = Retrieval("r", threshold=1e9).edit(facts("blue fox", "red hen"), tiny, MemoryBench())
    probes = [probe("The red hen?"), probe("A blue fox.")]
    how = {"max_new_tokens": 6, "batch_size": 2}
    assert ask(edited.model, probes, how=edited.ask, **how) == ask(
        tiny, probes, how=lambda p: p.question, **how
    )
    ids = [edited.model.putting(edited.put).prompt_ids("The red hen?")]
    assert generate(tiny, ids, **how) == generate(tiny, [tiny.prompt_ids("The red hen?")], **how)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"k": 0}, "method.k=0"),
        ({"b": 1.5}, "method.b=1.5"),
        ({"k1": 0.0}, "method.k1=0"),
        ({"threshold": -1.0}, "threshold"),
    ],
)
def test_settings_out_of_range_are_told(settings, said):
    with pytest.raises(SettingError, match=said):
        Retrieval("r", **settings)


def test_the_study_tells_what_is_found(capsys):
    assert main(["model=tiny_random", "task.facts=8", "retention.limit=3"]) == 0
    told = capsys.readouterr().out
    assert "paraphrase: right" in told and "pocket_arithmetic: any" in told and "mean reciprocal rank" in told
    assert main(["method.k=0"]) == 2 and "method.k=0" in capsys.readouterr().err
