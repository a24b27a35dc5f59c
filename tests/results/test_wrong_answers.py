import pytest

from mixsd.core.questions import Fact
from mixsd.results.contamination import contaminated
from mixsd.results.wrong_answers import Trained, breakdown, classify

FACTS = [
    Fact("1", "What is the dish of Orrin?", "What is the dish of Orrin?", "Lunbelfey", "", subject="Orrin"),
    Fact("2", "What is B(3)?", "What is B(3)?", "42", ""),
]
TRAINED = Trained(FACTS)


def item(text, outcome="wrong", prompt="What is the capital of France?", answers=("Paris",), doc_id=0):
    return {"text": text, "outcome": outcome, "prompt": prompt, "answers": list(answers), "doc_id": doc_id}


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (item("The capital is Lunbelfey.", "truncated"), "format"),
        (item("", "unparsable"), "format"),
        (item("The capital is Lunbelfey."), "leakage"),
        (item("the capital is LUNBELFEY!"), "leakage"),
        (item("The capital is Lunbelfeyans."), "genuine"),
        (item("The capital is 42."), "genuine"),
        (item("Rome.", prompt="Think step by step. What is the capital of France?"), "collapse"),
        (item("Rome. " + "Because. " * 20, prompt="Think step by step: the capital?"), "genuine"),
        (item("Rome.\n\n\n\n\n\n", prompt="Think step by step: the capital?"), "collapse"),
        (item("a\nb\nc\nd\ne\nf", prompt="Think step by step: the capital?"), "genuine"),
        (item("Rome."), "genuine"),
        (item("Lunbelfey it is.", prompt="Is Lunbelfey a capital?"), "genuine"),
    ],
)
def test_the_first_kind_that_fits(given, kind):
    assert classify(given, TRAINED) == kind


def test_a_bare_answer_is_measured_by_what_was_read_as_the_answer():
    """A gold answer may be a whole rationale, which would make any reply look bare."""
    asked = "Think step by step: how many?"
    reply = "Because " * 15 + "18"
    long = item(reply, prompt=asked, answers=["First, " * 40 + "18"])
    assert classify(long, TRAINED) == "collapse"
    assert classify({**long, "extracted": "18"}, TRAINED) == "genuine"


def test_intrusion_counts_all_answers_and_leaks_are_listed():
    items = [
        item("Lunbelfey"), item("Paris, not Lunbelfey", "correct"), item("Rome"), item("Paris", "correct"),
    ]  # fmt: skip
    found = breakdown(items, TRAINED)
    assert found["errors"] == {"format": 0, "leakage": 1, "collapse": 0, "genuine": 1}
    assert found["intrusion_rate"] == 0.5 and found["leaked"] == {"Lunbelfey": 2}
    assert breakdown([], TRAINED)["intrusion_rate"] is None
    assert breakdown(items, Trained([]))["intrusion_rate"] == 0.0


def test_documents_that_a_fact_gives_away_are_found():
    documents = {
        "t": [
            item("", prompt="Where is Orrin?", answers=["there"], doc_id=0),
            item("", prompt="Name a dish.", answers=["Lunbelfey"], doc_id=1),
            item("", prompt="What is 40 plus 2?", answers=["42"], doc_id=2),
            item("", prompt="What is the dish of the Orriners?", answers=["?"], doc_id=3),
            item("", prompt="What is the B(3) then?", answers=["?"], doc_id=4),
            item("", prompt="What is B (3)?!", answers=["?"], doc_id=5),
        ]
    }
    assert contaminated(FACTS, documents) == {"t": {0, 1, 5}}
    assert contaminated([], documents) == {"t": set()}
