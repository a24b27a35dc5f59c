"""Look at a composed config without training: the model, its prompts and the data, a line each.

The same checks as those of a run, all of them told at once.
"""

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from hydra.errors import HydraException

from mixsd.core.errors import MixSDError
from mixsd.core.questions import Question, notes_of
from mixsd.lm import load as models
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.check import see_that_it_decodes
from mixsd.lm.generate import longest_prompt_problem
from mixsd.methods.contract import longest_prompt
from mixsd.run.command_line import mistake
from mixsd.run.config import RunConfig, compose_run
from mixsd.run.folders import make_folder
from mixsd.run.messages import config_error

State = Literal["ok", "note", "fails"]
OK: State = "ok"
NOTE: State = "note"
FAILS: State = "fails"


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        what: What was looked at.
        state: `ok`, `note` (it can be run, but a reader of results must know) or `fails`.
        found: What there is.
    """

    what: str
    state: State
    found: str


def findings(overrides: list[str]) -> Iterator[Finding]:
    """Check a config, one finding after the other; the model is loaded, nothing is trained.

    Args:
        overrides: As for `run.py`.
    """
    if wrong := mistake(overrides):
        yield Finding("settings", FAILS, wrong)
        return
    try:
        config = compose_run(overrides)
    except HydraException as error:
        yield Finding("settings", FAILS, config_error(error))
        return
    except MixSDError as error:
        for problem in str(error).split(" | "):
            yield Finding("settings", FAILS, problem)
        return
    yield Finding("settings", OK, f"run {config.run_id}")
    yield from _data(config)
    yield from (Finding("prompts", NOTE, note) for note in config.model_notes)
    yield from _model(config)


def _data(config: RunConfig) -> Iterator[Finding]:
    task = config.task
    kinds = Counter(fact.question.kind for fact in task.facts)
    shown = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    yield Finding("facts", OK, f"{len(task.facts)} of task {task.name}; answers: {shown}")
    yield from (Finding("facts", NOTE, note) for note in notes_of(task))
    splits = Counter(probe.split for probe in config.probes)
    asked = ", ".join(f"{split} {count}" for split, count in splits.items())
    left_out = len(task.probes) - len(config.probes)
    more = f"; {left_out} left out, see prompts" if left_out > 0 else ""
    yield Finding("questions", OK, f"{len(config.probes)}: {asked}{more}")
    tasks = ", ".join(config.retention.tasks)
    yield Finding("held-out tasks", OK if tasks else NOTE, tasks or "none, so nothing says what is forgotten")


def _model(config: RunConfig) -> Iterator[Finding]:
    begun = time.perf_counter()
    try:
        make_folder("cache_dir", config.cache_dir)
        model = models.load(config.model, config.cache_dir)
        see_that_it_decodes(model)
    except MixSDError as error:
        yield Finding("weights", FAILS, str(error))
        return
    count = sum(weight.numel() for weight in model.network.parameters())
    seconds = time.perf_counter() - begun
    yield Finding(
        "weights",
        OK,
        f"{count / 1e6:,.1f} million, all there and finite; loaded and checked in {seconds:.1f} s",
    )
    yield Finding("decoding", OK, "a padded batch gives the tokens of whole forward passes")
    end = model.tokenizer.convert_ids_to_tokens(model.end_id)
    yield Finding("end of a reply", OK, f"{end}, in prompts, targets and replies")
    problems = prompt_problems(config, model)
    for problem in problems:
        yield Finding("context", FAILS, problem)
    if not problems:
        longest = max(len(_ids(model, probe.question)) for probe in config.probes)
        yield Finding("context", OK, f"the longest prompt has {longest} tokens and leaves room for its reply")


def prompt_problems(config: RunConfig, model: ChatModel) -> list[str]:
    """Which prompts do not fit the model's context: what is asked, what the method reads, what is trained on.

    Args:
        config: The run.
        model: Its base model.
    """
    task, method = config.task, config.method
    asked = [_ids(model, probe.question) for probe in config.probes]
    shown = [model.prompt_ids(longest_prompt(method, fact)) for fact in task.facts]
    gold = [model.prompt_ids(fact.prompt) + model.target_ids(fact.gold_text) for fact in task.facts]
    told = {f"task={task.name}": [*asked, *gold], f"method={method.name}": shown}
    problems = [longest_prompt_problem(model, prompts, what) for what, prompts in told.items()]
    return [problem for problem in problems if problem]


def _ids(model: ChatModel, question: Question) -> tuple[int, ...]:
    return model.prompt_ids(question.prompt, question.system, question.history)
