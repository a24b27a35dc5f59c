"""Which held-out documents the facts give away."""

from mixsd.core.questions import Fact, Question
from mixsd.results.contamination import contaminated
from tests.helpers.made_runs import item

FACTS = [
    Fact("1", Question("What is the dish of Orrin?", ("Lunbelfey",)), "", subject="Orrin"),
    Fact("2", Question("What is B(3)?\n\nBox it.", ("42",), asks="What is B(3)?"), ""),
]


def document(doc_id, question, *answers, prompt=""):
    return item(doc_id, 0.0, prompt=prompt or question, question=question, answers=answers)


def test_documents_that_a_fact_gives_away_are_found():
    documents = {
        "t": [
            document(0, "Where is Orrin?", "there"),
            document(1, "Name a dish.", "Lunbelfey"),
            document(2, "What is 40 plus 2?", "42"),
            document(3, "What is the dish of the Orriners?", "?"),
            document(4, "What is the B(3) then?", "?"),
            document(5, "What is B (3)?!", "?"),
        ]
    }
    assert contaminated(FACTS, documents) == {"t": {0, 1, 5}}, (
        "the request for a format is no part of a question"
    )
    assert contaminated([], documents) == {"t": set()}


def test_worked_examples_of_a_prompt_are_no_contamination():
    asked = document(0, "What is 1 + 1?", "2", prompt="Where is Orrin? There.\n\nWhat is 1 + 1?")
    assert contaminated(FACTS, {"t": [asked]}) == {"t": set()}
