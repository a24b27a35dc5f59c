"""Scoring with lm-eval, item by item, as the probes are scored.

lm-eval reseeds the global generators, does not see truncated answers, and has one chat-template switch
a call; here the generators are kept, replies come from the same function as those to probes, and there is
one call for generated tasks (chat template on) and one for likelihood tasks (off).
"""

import contextlib
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from lm_eval.api.task import Task
from lm_eval.evaluator import evaluate
from lm_eval.models.huggingface import HFLM

from benchmarks.heldout.lm_eval_tasks import PROMPTS_TASK, draw_examples_anew, is_own, kind, metric_of, quiet
from mixsd.core.errors import SettingError
from mixsd.core.formats import FORMATS, last_boxed
from mixsd.core.questions import Outcome
from mixsd.core.scores import GENERATED, LIKELIHOOD, ItemScore, TaskScores
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Sampling
from mixsd.lm.generate import Completion, generate

FILTERS: Mapping[str, str] = {"gsm8k": "flexible-extract"}
"""The answer filter of tasks that have several; elsewhere the first."""
NOTHING_READ = "[invalid]"
"""What lm-eval's filters give where they find no answer."""


@dataclass(frozen=True)
class Decoding:
    """What a suite changes in how its tasks generate.

    Attributes:
        temperature: Instead of each task's own (0: greedy; None: the task's).
        max_new_tokens: At most so many, whatever a task allows (None: as the task says).
    """

    temperature: float | None
    max_new_tokens: int | None


_Base: Any = HFLM  # its decorator hides the constructor from type checkers


class _Reader(_Base):
    """lm-eval's model, generating as the probes do and remembering which replies never ended."""

    def __init__(
        self, model: ChatModel, batch_size: int, decoding: Decoding, on_done: Callable[[int], None]
    ) -> None:
        # The batch size is set here: lm-eval ignores its own where it is given a model object.
        super().__init__(
            pretrained=model.network,
            tokenizer=model.tokenizer,
            batch_size=batch_size,
        )
        self._chat_model, self._decoding, self._on_done = model, decoding, on_done
        self.cut: dict[_Place, list[bool]] = {}
        """Whether each reply to a document never ended."""
        self.shortened: set[_Place] = set()
        """Documents whose prompt lost its beginning, because it left too little room for a reply."""

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        settings = [self._settings(dict(request.args[1])) for request in requests]
        contexts = [str(request.args[0]) for request in requests]
        # A greedy reply comes once, however often a task wants it.
        asked = [
            (context, own, place if own.sampling.temperature else 0)
            for place, (context, own) in enumerate(zip(contexts, settings, strict=True))
        ]
        unique = list(dict.fromkeys(asked))
        replies: dict[Any, Completion] = {}
        shortened: set[Any] = set()
        for own in dict.fromkeys(settings):
            keys = [key for key in unique if key[1] == own]
            prompts = [self._ids(key[0], own) for key in keys]
            shortened |= {key for key, (_, whole) in zip(keys, prompts, strict=True) if not whole}
            replies |= zip(keys, self._replies([ids for ids, _ in prompts], own), strict=True)
        for request, key in zip(requests, asked, strict=True):
            place = str(request.task_name), int(request.doc_id or 0)
            self.cut.setdefault(place, []).append(replies[key].truncated)
            if key in shortened:
                self.shortened.add(place)
        return [replies[key].text for key in asked]

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        template = self._chat_model.template
        if not template.takes_system:  # said in the template's notes
            chat_history = [turn for turn in chat_history if turn["role"] != "system"]
        if not add_generation_prompt:  # the task begins the reply itself
            *earlier, begun = chat_history
            return template.text(earlier, reply_follows=True) + begun["content"]
        return template.text(chat_history, reply_follows=True)

    def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        return super().loglikelihood(requests, disable_tqdm=True)

    def _ids(self, context: str, own: "_Settings") -> tuple[list[int], bool]:
        """A prompt, and whether it is whole: one that leaves no room for its reply loses its beginning.

        A reply has at least half of the context, or its budget where that is less. This goes by the prompt
        alone: a long one must not shorten the replies to others.
        """
        # The context is rendered by the chat template already, special tokens included.
        ids: list[int] = self.tokenizer(context, add_special_tokens=False)["input_ids"]
        room = int(self.max_length) - min(own.max_new_tokens, int(self.max_length) // 2)
        return ids[-room:], len(ids) <= room

    def _replies(self, prompts: Sequence[Sequence[int]], own: "_Settings") -> list[Completion]:
        """Replies of one kind; the decoder ends each where the context is full."""
        return generate(
            self._chat_model,
            prompts,
            max_new_tokens=own.max_new_tokens,
            batch_size=int(self.batch_size),
            on_done=self._on_done,
            stop=own.until,
            sampling=own.sampling,
        )

    def _settings(self, given: Mapping[str, Any]) -> "_Settings":
        until = given.get("until") or []
        budget = int(given.get("max_gen_toks", self.max_gen_toks))
        return _Settings(
            tuple([until] if isinstance(until, str) else until),
            min(budget, self._decoding.max_new_tokens or budget),
            _sampling(given, self._decoding.temperature),
        )


_Place = tuple[str, int]
"""A task, and a place among the documents that are asked."""


@dataclass(frozen=True)
class _Settings:
    until: tuple[str, ...]
    max_new_tokens: int
    sampling: Sampling


def _sampling(settings: Mapping[str, Any], temperature: float | None) -> Sampling:
    """How tokens are picked: as the suite says, else as the task says.

    Raises:
        SettingError: The task wants nucleus sampling, which is not offered.
    """
    # Without `do_sample`, a task's temperature is not used.
    own = float(settings.get("temperature") or 1) if settings.get("do_sample") else 0.0
    chosen = own if temperature is None else temperature
    if not chosen:
        return Sampling()
    if settings.get("top_p", 1) != 1:
        raise SettingError(f"generation_kwargs.top_p={settings['top_p']} is not offered; allowed: 1")
    return Sampling(chosen, settings.get("top_k"))


def score(
    model: ChatModel,
    tasks: Mapping[str, Task],
    documents: Mapping[str, Sequence[int]],
    batch_size: int,
    decoding: Decoding,
    on_done: Callable[[int], None],
) -> dict[str, TaskScores]:
    """Score a model on some documents of some tasks.

    Args:
        model: The model.
        tasks: Loaded tasks by name.
        documents: Ascending indices of the documents to ask, by task.
        batch_size: Documents at a time.
        decoding: What the suite changes.
        on_done: Told how many more documents are done.

    Raises:
        SettingError: A task's score is not between 0 and 1.
    """
    scores: dict[str, TaskScores] = {}
    for panel in (GENERATED, LIKELIHOOD):
        chosen = {name: task for name, task in tasks.items() if kind(task) == panel}
        if not chosen:
            continue
        with _undisturbed(model.network), quiet():
            for task in chosen.values():
                draw_examples_anew(task)
            reader = _Reader(model, batch_size, decoding, on_done)
            results: Any = evaluate(
                reader,
                {"tasks": chosen, "groups": {}, "group_map": {}},
                samples={name: list(documents[name]) for name in chosen},
                # Its intervals are of one model alone; ours are of paired differences.
                bootstrap_iters=0,
                apply_chat_template=panel == GENERATED,
                confirm_run_unsafe_code=True,  # only tasks that use the sandbox are loaded at all
            )
        for name, task in chosen.items():
            cut = {  # lm-eval counts places among the documents asked
                document: reader.cut.get((name, place), [False])
                for place, document in enumerate(documents[name])
            }
            shortened = sum(place[0] == name for place in reader.shortened)
            scores[name] = _task_scores(name, task, results["samples"][name], cut, shortened)
            if panel == LIKELIHOOD:
                on_done(len(scores[name].items))
    return {name: scores[name] for name in tasks}


def _task_scores(
    name: str, task: Task, samples: list[dict[str, Any]], cut: Mapping[int, list[bool]], shortened: int
) -> TaskScores:
    # A document has a row for each filter of its task.
    wanted = FILTERS.get(name, samples[0]["filter"])
    rows = sorted((row for row in samples if row["filter"] == wanted), key=lambda row: row["doc_id"])
    metric = metric_of(task)
    assert metric is not None, "checked where tasks are loaded"
    items = tuple(_item(name, task, metric, row, cut[row["doc_id"]]) for row in rows)
    return TaskScores(metric, kind(task), _chance(task, rows), items, shortened)


def _item(name: str, task: Task, metric: str, row: Mapping[str, Any], cut: list[bool]) -> ItemScore:
    """One document's record; of several samples, the mean score, and the first one that is not right."""
    each = _scores_of(name, metric, row[metric], cut)
    shown = next((place for place, score in enumerate(each) if score < 1), 0)
    panel, question = kind(task), _question(row["doc"], row["arguments"][0][0])
    prompt = _prompt(name, row) if panel == GENERATED else question
    text = _texts(row)[shown] if panel == GENERATED else ""
    extracted = _extracted(row, text) if panel == GENERATED else None
    answer = text if extracted is None else extracted
    return ItemScore(
        doc_id=row["doc_id"],
        prompt=prompt,
        question=question,
        answers=_answers(task, row),
        text=text,
        extracted=extracted,
        score=float(np.mean(each)),
        outcome=_outcome(each[shown], cut[shown], answer, prompt, panel),
    )


def _scores_of(name: str, metric: str, given: Any, cut: list[bool]) -> list[float]:
    """A score per sample, 0 where the reply never ended; one for all where a task folds its samples itself.

    Raises:
        SettingError: The task gives something else than scores between 0 and 1.
    """
    values = given if isinstance(given, list) else [given]
    if not all(isinstance(v, bool | int | float | np.number) and 0 <= v <= 1 for v in values):
        raise SettingError(
            f"retention.tasks: {name} gives no score between 0 and 1 ({metric}={given}); leave it out"
        )
    if len(values) == len(cut):
        return [0.0 if ended_not else float(value) for value, ended_not in zip(values, cut, strict=True)]
    return [0.0 if all(cut) else float(value) for value in values]


def _texts(row: Mapping[str, Any]) -> list[str]:
    """The whole replies, whatever a filter left of them."""
    return [str(text) for text in row["resps"][0]]


def _extracted(row: Mapping[str, Any], text: str) -> str | None:
    """What a task's filter read as the answer, '' for nothing; None where the whole reply is graded."""
    left: Any = row["filtered_resps"][0]
    if not isinstance(left, str) or left == text:
        return None
    return "" if left == NOTHING_READ else left


def _prompt(name: str, row: Mapping[str, Any]) -> str:
    """The user turn of tasks that keep it whole in the document; of others all that the model read."""
    whole = is_own(name) or name == PROMPTS_TASK
    return str(row["doc"]["prompt"]) if whole else str(row["arguments"][0][0])


def _question(doc: Mapping[str, Any], context: str) -> str:
    """A document's question as its data set gives it, or the whole context where no field is known."""
    keys = ("question", "problem", "prompt", "goal", "text", "good", "sentence")
    return next((str(doc[key]) for key in keys if key in doc), context)


def _answers(task: Task, row: Mapping[str, Any]) -> tuple[str, ...]:
    """Accepted answers as text; of a multiple choice, the right one's."""
    if row["doc"].get("answers"):
        return tuple(map(str, row["doc"]["answers"]))
    if task.OUTPUT_TYPE == "multiple_choice" and isinstance(row["target"], int):
        choices: Any = task.doc_to_choice(row["doc"])  # type: ignore[attr-defined]
        return (str(choices[row["target"]]),)
    return (str(row["target"]),)


def _outcome(score: float, cut: bool, text: str, prompt: str, panel: str) -> Outcome:
    if score == 1:
        return Outcome.CORRECT
    if cut:
        return Outcome.TRUNCATED
    no_box = FORMATS["boxed"].request in prompt and last_boxed(text) is None
    return Outcome.UNPARSABLE if panel == GENERATED and (no_box or not text.strip()) else Outcome.WRONG


def _chance(task: Task, rows: Sequence[Mapping[str, Any]]) -> float:
    """Accuracy of guessing: one over the number of choices; 0 where the answer is generated or a word."""
    if task.OUTPUT_TYPE != "multiple_choice":
        return 0.0
    # A likelihood for each choice; documents may differ in how many they have.
    return float(np.mean([1 / len(row["resps"]) for row in rows]))


@contextlib.contextmanager
def _undisturbed(model: torch.nn.Module) -> Iterator[None]:
    """Put back what lm-eval changes globally: three random generators and the training mode."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    training = model.training
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])
        model.train(training)
