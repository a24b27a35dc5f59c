"""The paper's held-out suite: graders on made-up documents, and on the published ones where they are."""

import os
from types import SimpleNamespace

import pytest

from benchmarks.heldout import lm_eval_scores, sandbox
from benchmarks.heldout.paper import documents as paper
from mixsd.core.errors import SettingError
from mixsd.core.questions import Fact, Outcome, Question
from mixsd.core.scores import ItemScore
from mixsd.results.contamination import contaminated
from tests.helpers.suites import needs_sandbox, suite

ROOT = os.environ.get("MIXSD_DATA_ROOT")
COUNTS = {
    "paper_aime2024": 30,
    "paper_math500": 500,
    "paper_gsm8k": 1319,
    "paper_humaneval": 164,
    "paper_mmlu": 14042,
}
"""Documents of each task, as the data's own pages state them."""
with_data = pytest.mark.skipif(not ROOT, reason="MIXSD_DATA_ROOT is not set: no dataset clones to read")


@pytest.mark.parametrize(
    ("gold", "reply", "right"),
    [
        ("18", "So she makes \\boxed{18} dollars.", 1),
        ("18", "\\boxed{18.00}", 1),
        ("18", "\\boxed{81}", 0),
        ("18", "", 0),
        ("18", "It is 18.", 0),
        ("204", "First \\boxed{17}, no: \\boxed{204}", 1),
        ("\\frac{1}{2}", "\\boxed{0.5}", 1),
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "\\boxed{(3, \\pi/2)}", 1),
        ("\\left( 3, \\frac{\\pi}{2} \\right)", "\\boxed{(\\pi/2, 3)}", 0),
        ("2\\sqrt{3}", "\\boxed{\\sqrt{12}}", 1),
        ("x^2+1", "\\boxed{1 + x^2}", 1),
    ],
)
def test_mathematics(gold, reply, right):
    doc = {"prompt": "", "answers": [gold]}
    assert paper.grade_mathematics(doc, [reply])["acc"] == [right]
    assert paper.grade_mathematics(doc, [[reply, ""]])["acc"] == [right, 0], "every sample is graded"


def test_gold_goes_first_where_order_matters(monkeypatch):
    """math-verify takes (gold, answer); an equation as answer to a plain gold value is accepted one way only."""
    seen = []
    monkeypatch.setattr(paper, "parse", lambda text: text)
    monkeypatch.setattr(paper, "verify", lambda gold, answer: seen.append((gold, answer)) or True)
    paper.grade_mathematics({"answers": ["5"]}, ["so \\boxed{x}"])
    assert seen == [("\\boxed{5}", "\\boxed{x}")]


@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("\\boxed{C}", 1),
        ("\\boxed{(C)}", 1),
        ("\\boxed{\\text{C}}", 1),
        ("\\boxed{C. lead}", 1),
        ("\\boxed{B}", 0),
        ("C", 0),
    ],
)
def test_choice(reply, right):
    doc = paper._asked("Which?", "C", "C. lead")
    assert paper.grade_choice(doc, [reply])["acc"] == [right]


ADD = {
    "code": 'import math\n\ndef add(a, b):\n    """Sum."""\n',
    "test": "def check(candidate):\n    assert candidate(1, 2) == 3\n",
    "entry_point": "add",
    "prompt": "",
    "answers": [""],
}


LOOP = "total = 0\n    for number in (a, b):\n        total += number\n    return total"


@needs_sandbox
@pytest.mark.parametrize(
    ("reply", "right"),
    [
        ("```python\ndef add(a, b):\n    return math.fsum([a, b])\n```\nDone.", 1),
        ("```python3\ndef add(a, b):\n    return a + b\n```", 1),
        ("return a + b", 1),
        (LOOP, 1),
        (f"```\n    {LOOP}\n```", 1),
        (LOOP.replace("\n    ", "\n"), 1),
        (
            "First:\n```\ndef add(a, b):\n    return 0\n```\nBetter:\n```python\ndef add(a, b):\n    return a + b\n```",
            1,
        ),
        (
            "```python\ndef add(a, b):\n    return a + b\n```\nExample usage:\n```python\nprint(add(1, 2))\n```",
            1,
        ),
        (
            "```python\ndef add(a, b):\n    return a + b\n\nif __name__ == '__main__':\n    print(input())\n```",
            1,
        ),
        ("```python\ndef add(a, b):\n    return a - b\n```", 0),
        ("I cannot help.", 0),
        ("```python\nimport os\nos._exit(0)\n```", 0),
        ("", 0),
    ],
)
def test_programs(reply, right):
    """Replies come without white space around them, as generation leaves them."""
    assert paper.grade_program(ADD, [reply.strip()])["acc"] == [right]


def document(number, prompt, answer, question=""):
    return ItemScore(number, prompt, question or prompt, (answer,), "", None, 0.0, Outcome.WRONG)


def test_worked_examples_of_a_prompt_are_no_contamination():
    """Only the question itself can give a trained fact away, not the examples that stand before every question."""
    fact = Fact("f", Question("Where is the tower?", ("Paris",)), "It is in Paris.")
    prompt = "Which city is in France? A. Paris\n\nWhat is 1 + 1?"
    assert contaminated([fact], {"t": [document(0, prompt, "B")]}) == {"t": {0}}
    assert contaminated([fact], {"t": [document(0, prompt, "B", "What is 1 + 1?")]}) == {"t": set()}


def paper_suite(tasks, **changes):
    values = {"limit": 2, "validation_limit": 0, "data_root": ROOT, "allow_code_execution": True}
    return suite(tasks, **{**values, **changes})


def test_programs_need_permission(monkeypatch):
    with pytest.raises(SettingError, match="allow_code_execution=true"):
        paper_suite(["paper_humaneval"], allow_code_execution=False)
    monkeypatch.setattr(sandbox.sys, "platform", "win32")
    with pytest.raises(SettingError, match="Linux"):
        paper_suite(["paper_humaneval"])


def test_tasks_that_run_code_without_a_sandbox_are_refused():
    from benchmarks.heldout.lm_eval_tasks import _check

    def mean(values):
        return sum(values) / len(values)

    task = SimpleNamespace(UNSAFE_CODE=True, aggregation=lambda: {"acc": mean})
    with pytest.raises(SettingError, match="use paper_humaneval"):
        _check("humaneval", task)  # type: ignore[arg-type]
    _check("paper_humaneval", task)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole():
    return paper_suite(COUNTS, limit=None)


@pytest.mark.real_data
@with_data
@needs_sandbox
@pytest.mark.parametrize("task", COUNTS)
def test_document_counts_and_gold_answers(whole, task):
    """Every gold answer passes its grader: the mathematics, the choices and the published solutions."""
    loaded = whole._load(list(COUNTS))[task]
    documents = list(loaded.eval_docs)
    assert len(documents) == COUNTS[task]
    for doc in documents:
        reply = f"Therefore \\boxed{{{doc['answers'][0]}}}."
        if task == "paper_humaneval":
            reply = doc["answers"][0].strip()
        assert loaded.process_results(doc, [[reply] if task == "paper_aime2024" else reply])["acc"] == [1]


@pytest.mark.real_data
@with_data
@needs_sandbox
def test_decoding_is_the_papers(whole, tiny, monkeypatch):
    seen = {}

    def pretend(student, prompts, **options):
        budget, sampling = options["max_new_tokens"], options["sampling"]
        seen[len(prompts), budget] = sampling.temperature, sampling.top_k
        return [lm_eval_scores.Completion("\\boxed{1}", 3, False) for _ in prompts]

    monkeypatch.setattr(lm_eval_scores, "generate", pretend)
    monkeypatch.setattr(lm_eval_scores._Reader, "max_length", 40_000)
    few = paper_suite(COUNTS)
    scores = {name: few.evaluate(tiny, [name], 8, lambda _: None)[name] for name in COUNTS}
    assert {name: len(s.items) for name, s in scores.items()} == dict.fromkeys(COUNTS, 2)
    assert seen == {(32, 16384): (1.0, None), (2, 16384): (1.0, None), (2, 1024): (1.0, None)}
    prompt = scores["paper_mmlu"].items[0].prompt
    assert prompt.count("\nAnswer: ") == 5 and prompt.endswith("within \\boxed{}.")
    seen.clear()
    paper_suite(COUNTS, temperature=0, max_new_tokens=7).evaluate(tiny, list(COUNTS), 8, lambda _: None)
    assert {budget for _, budget in seen} == {7} and set(seen.values()) == {(0.0, None)}


def test_a_code_in_capitals_is_not_the_small_word():
    fact = Fact("f", Question("What is the currency code of Tonga?", ("TOP",)), "", subject="Tonga")
    prompts = ("Who is at the top?", "What is TOP?", "What is the capital of tonga?")
    documents = [document(number, prompt, "x") for number, prompt in enumerate(prompts)]
    assert contaminated([fact], {"t": documents}) == {"t": {1, 2}}
