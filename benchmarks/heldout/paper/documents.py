"""Documents and graders of the five tasks of the paper's held-out suite (decision 13).

Every task asks for its answer in one user turn and lets the model write it; each document becomes
`prompt`, `answers` and what its grader needs.
"""

import re
from collections.abc import Callable, Iterable
from textwrap import indent
from typing import Any

import datasets
from math_verify import parse, verify

from benchmarks.heldout import sandbox
from mixsd.core.formats import FORMATS, last_boxed
from mixsd.core.grading import grade
from mixsd.core.questions import Outcome, Question

BOXED = FORMATS["boxed"]
LETTERS = "ABCD"
FEWSHOT = 5
PROGRAM_SECONDS = 10.0
"""For the checks of one generated program."""
_CODE_BLOCK = re.compile(r"```\w*[ \t]*\n(.*?)```", re.DOTALL)
Doc = dict[str, Any]


def load(name: str, **_: Any) -> dict[str, datasets.Dataset]:
    """The test documents of one task, from the hub or from a clone in the working directory."""
    return {"test": datasets.Dataset.from_list(list(SOURCES[name]()))}


def grade_mathematics(doc: Doc, results: list[Any]) -> dict[str, Any]:
    """Whether the last box of each reply equals the gold answer as mathematics; no box is no answer."""
    gold = parse(_boxed(doc["answers"][0]))
    stated = [last_boxed(text) for text in _samples(results)]
    return {"acc": [float(box is not None and verify(gold, parse(_boxed(box)))) for box in stated]}


def grade_choice(doc: Doc, results: list[Any]) -> dict[str, Any]:
    """Whether each boxed letter, or letter with its text, is the right one."""
    question = Question(doc["prompt"], tuple(doc["answers"]), kind="choice", format="boxed")
    verdicts = [grade(text, question, ended=True) for text in _samples(results)]
    return {"acc": [float(verdict.outcome is Outcome.CORRECT) for verdict in verdicts]}


def grade_program(doc: Doc, results: list[Any]) -> dict[str, Any]:
    """Whether each program passes the document's checks, in the sandbox."""
    return {"acc": [float(_passes(doc, text)) for text in _samples(results)]}


def mean(scores: Iterable[list[float]]) -> float:
    """lm-eval's aggregate: the mean over documents of the mean over samples."""
    means = [sum(samples) / len(samples) for samples in scores]
    return sum(means) / len(means)


def program(doc: Doc, reply: str) -> str:
    """The program that a reply amounts to, checks included.

    The last code block that defines the function counts, else the last block, else the whole reply. The
    prompt's own code stands before it: the imports and helpers it gives, and the signature where the reply is
    only a body.
    """
    blocks = _CODE_BLOCK.findall(reply) or [reply]
    defines = re.compile(rf"^def {re.escape(doc['entry_point'])}\b", re.MULTILINE)
    whole = [block for block in blocks if defines.search(block)]
    code = whole[-1] if whole else _as_body(doc["code"], blocks[-1])
    # Under another name, what stands below `if __name__ == "__main__"` is not run.
    return f"__name__ = 'reply'\n{doc['code']}\n{code}\n{doc['test']}\ncheck({doc['entry_point']})\n"


def _as_body(signature: str, code: str) -> str:
    """Code indented as the body of a function; of a reply, the first line has lost its indentation."""
    as_it_was = f"    {code.lstrip()}"
    try:
        compile(f"{signature}\n{as_it_was}", "reply", "exec")
    except (SyntaxError, ValueError):
        return indent(code, "    ")
    return as_it_was


def _boxed(expression: str) -> str:
    return f"\\boxed{{{expression}}}"


def _passes(doc: Doc, reply: str) -> bool:
    return sandbox.run(program(doc, reply), PROGRAM_SECONDS).finished


def _samples(results: list[Any]) -> list[str]:
    """The replies to one document: one, or as many as the task repeats it."""
    return [results[0]] if isinstance(results[0], str) else list(results[0])


def _aime() -> Iterable[Doc]:
    for row in _rows("Maxwell-Jia/AIME_2024", None, "train"):
        yield _asked(row["Problem"], str(row["Answer"]))


def _math500() -> Iterable[Doc]:
    for row in _rows("HuggingFaceH4/MATH-500", None, "test"):
        yield _asked(row["problem"], row["answer"])


def _gsm8k() -> Iterable[Doc]:
    for row in _rows("openai/gsm8k", "main", "test"):
        yield _asked(row["question"], row["answer"].rpartition("####")[2].strip().replace(",", ""))


def _humaneval() -> Iterable[Doc]:
    for row in _rows("openai/openai_humaneval", "openai_humaneval", "test"):
        prompt = f"Complete this Python function. Reply with one code block.\n\n```python\n{row['prompt']}```"
        yield {
            "prompt": prompt,
            "answers": [row["canonical_solution"]],
            "code": row["prompt"],
            "test": row["test"],
            "entry_point": row["entry_point"],
        }


def mmlu(worked_examples: int = FEWSHOT) -> Iterable[Doc]:
    """The documents of all subjects, each after some worked examples of its subject."""
    subjects = datasets.get_dataset_config_names("cais/mmlu")
    for subject in sorted(set(subjects) - {"all", "auxiliary_train"}):
        before = _examples(subject, worked_examples) if worked_examples else []
        for row in _rows("cais/mmlu", subject, "test"):
            asked = "\n\n".join([*before, f"{_choices(row)}\nAnswer with a letter."])
            letter = LETTERS[row["answer"]]
            doc = _asked(asked, letter, f"{letter}. {row['choices'][row['answer']]}")
            # The examples are not what it asks.
            yield {**doc, "question": _choices(row), "subject": subject}


def _examples(subject: str, number: int) -> list[str]:
    """What stands before every question of a subject."""
    examples = [_worked(row) for row in _rows("cais/mmlu", subject, "dev")][:number]
    topic = subject.replace("_", " ")
    head = f"These are multiple choice questions about {topic}, the first {len(examples)} with answers."
    return [head, *examples]


def _choices(row: Doc) -> str:
    listed = [f"{letter}. {choice}" for letter, choice in zip(LETTERS, row["choices"], strict=True)]
    return "\n".join([row["question"].strip(), *listed])


def _worked(row: Doc) -> str:
    return f"{_choices(row)}\nAnswer: {LETTERS[row['answer']]}"


def _asked(question: str, *answers: str) -> Doc:
    return {"prompt": BOXED.prompt(question), "answers": list(answers)}


def _rows(dataset: str, config: str | None, split: str) -> Iterable[Doc]:
    return datasets.load_dataset(dataset, config, split=split)  # type: ignore[return-value]


SOURCES: dict[str, Callable[[], Iterable[Doc]]] = {
    "aime": _aime,
    "math500": _math500,
    "gsm8k": _gsm8k,
    "humaneval": _humaneval,
    "mmlu": mmlu,
}
"""The documents of each data set, as the paper asks them."""
