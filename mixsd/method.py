"""What a method is, and what it may ask of a model."""

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel, PreTrainedTokenizerBase

from mixsd.knowledge import Fact, Probe, Task
from mixsd.losses import nll

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
NAIVE, EXPERT, AGREED, GOLD, STUDENT, BASE, UNKNOWN = "neagsb?"
"""Who supplied a target token: a conditional, both alike, the gold text, the student, the base model."""


@dataclass(frozen=True)
class Example:
    """One training example: token ids, never text, so that what was checked is what is trained on.

    Attributes:
        fact_id: The fact it teaches.
        prompt_ids: The naive prompt. Never trained on, the assistant header included.
        target_ids: The target, end of turn included; empty where the student writes it during training.
        provenance: A letter per target token, see `NAIVE` and those beside it.
        text: The target as text, for people.
        attempt: The attempt that passed verification (0 is the first).
        masked: Places in the target that are read but not trained on.
        teacher_ids: The prompt a teacher reads before the target, where the method has a teacher.
        extra: Whether it teaches no fact: not in the schedule that all methods share.
    """

    fact_id: str
    prompt_ids: tuple[int, ...]
    target_ids: tuple[int, ...]
    provenance: str
    text: str
    attempt: int = 0
    masked: tuple[int, ...] = ()
    teacher_ids: tuple[int, ...] = ()
    extra: bool = False

    @property
    def trained_tokens(self) -> int:
        """Target tokens that carry a loss."""
        return len(self.target_ids) - len(self.masked)


@dataclass
class Preparation:
    """What a method trains on, and what is worth reporting about how it came to be.

    Attributes:
        examples: One per kept fact, in the order of the facts; then those of no fact.
        dropped: Fact id -> reason, for facts that nothing is trained for.
        report: Flat numbers for `results.json` under `targets`.
        generated_tokens: Tokens decoded to make the targets, by this run or by one that shared them.
        contrasts: Targets of other kinds, by name, made when asked for: their likelihood is reported
            beside that of the examples, nothing is trained on them, and their cost is not the method's.
    """

    examples: list[Example]
    dropped: dict[str, str] = field(default_factory=dict)
    report: dict[str, Any] = field(default_factory=dict)
    generated_tokens: int = 0
    contrasts: dict[str, Callable[[], list[Example]]] = field(default_factory=dict)


@dataclass(frozen=True)
class Batch:
    """A right-padded training batch.

    Attributes:
        input_ids: (B, T) prompt and target tokens.
        attention_mask: (B, T) True on real tokens.
        is_predictor: (B, T) True where the *next* token is a target token; logits are taken there.
        target_ids: (N,) those next tokens, row by row; N counts the target tokens of the batch.
        target_rows: (N,) the row each belongs to.
        examples: The B examples.
    """

    input_ids: Tensor
    attention_mask: Tensor
    is_predictor: Tensor
    target_ids: Tensor
    target_rows: Tensor
    examples: tuple[Example, ...]

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        tensors = {
            f.name: v.to(device) for f in fields(self) if isinstance(v := getattr(self, f.name), Tensor)
        }
        return replace(self, **tensors)


def collate(examples: Sequence[Example], pad_id: int) -> Batch:
    """Pad examples on the right into one batch, on the CPU.

    Padding is known by position, never by token id: with some tokenizers pad and end of turn are one id.
    """
    width = max(len(e.prompt_ids) + len(e.target_ids) for e in examples)
    input_ids = torch.full((len(examples), width), pad_id)
    attention_mask = torch.zeros(len(examples), width, dtype=torch.bool)
    is_predictor = torch.zeros_like(attention_mask)
    for row, example in enumerate(examples):
        start, end = len(example.prompt_ids), len(example.prompt_ids) + len(example.target_ids)
        input_ids[row, :end] = torch.tensor([*example.prompt_ids, *example.target_ids])
        attention_mask[row, :end] = True
        is_predictor[row, start - 1 : end - 1] = True
        is_predictor[row, [start - 1 + place for place in example.masked]] = False
    target_ids = input_ids.roll(-1, dims=1)[is_predictor]
    target_rows = is_predictor.nonzero()[:, 0]
    return Batch(input_ids, attention_mask, is_predictor, target_ids, target_rows, tuple(examples))


def left_pad(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    """Token ids (R, T) and mask (R, T) of prompts padded on the left; a padded id is never attended to."""
    width = max(len(prompt) for prompt in prompts)
    tokens = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for row, prompt in enumerate(prompts):
        tokens[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return tokens.to(device), mask.to(device)


class RecordFile(Protocol):
    """Finished pieces of work on disk, by key; what was appended survives the process."""

    records: dict[str, dict[str, Any]]

    def append(self, key: str, record: dict[str, Any]) -> None:
        """Add one finished piece, durably."""
        ...


class Workbench(Protocol):
    """Where a method keeps unfinished work, and how it shows progress."""

    def record_file(self, kind: str, fingerprint: dict[str, Any]) -> AbstractContextManager[RecordFile]:
        """Open, under a lock, the records that belong to exactly this fingerprint."""
        ...

    def progress(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Show a progress bar; the function given moves it by so many."""
        ...


def gold_example(fact: Fact, student: "Student") -> Example:
    """The gold text of a fact as a training example."""
    ids = student.target_ids(fact.gold_text)
    return Example(fact.id, student.prompt_ids(fact.prompt), ids, GOLD * len(ids), fact.gold_text)


@runtime_checkable
class Method(Protocol):
    """A gradient method. It prepares its examples once, then gives a loss for every batch of them."""

    name: str
    identity: dict[str, Any]
    """What changes its numbers beyond its settings, such as the content of a file they name."""
    reads_base: bool
    """Whether its loss needs the frozen base model (`Student.as_base`)."""

    def prepare(self, task: Task, student: "Student", bench: Workbench) -> Preparation:
        """Make the examples. `student` is the frozen base model here."""
        ...

    def loss(self, batch: Batch, student: "Student") -> Tensor:
        """The loss of every target token, (N,), unreduced: the trainer averages, the same for all."""
        ...


@dataclass(frozen=True)
class Step:
    """An optimiser step about to be made.

    Attributes:
        number: From 0.
        scheduled: The examples that the schedule shared by all methods gives it.
        extras: All examples of no fact.
    """

    number: int
    scheduled: Sequence[Example]
    extras: Sequence[Example]


@runtime_checkable
class ChoosesExamples(Protocol):
    """A gradient method that decides at each step what it trains on: rollouts, or examples of no fact."""

    def step_examples(self, step: Step, student: "Student") -> list[Example]:
        """The examples of a step. What is drawn must depend on the step and on settings alone."""
        ...


@runtime_checkable
class Editor(Protocol):
    """A method that replaces the training stage as a whole."""

    name: str
    identity: dict[str, Any]

    def edit(self, task: Task, student: "Student", bench: Workbench) -> "Student":
        """The model that has the knowledge; `student` is the base model and may be changed."""
        ...

    def asked(self, probe: Probe, task: Task) -> Probe:
        """The probe as this method asks it."""
        ...


class Student:
    """A model with its tokenizer and its chat template: all that a method may ask of either.

    Args:
        model: A causal language model.
        tokenizer: Its tokenizer, with a chat template.
        template_options: Extra arguments of the chat template, such as `enable_thinking: false`.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        template_options: dict[str, Any] | None = None,
    ) -> None:
        # Any: the stubs of transformers know neither chat templates nor generation on these classes.
        self.model: Any = model
        self.tokenizer: Any = tokenizer
        self.template_options = dict(template_options or {})
        self.end_ids = _end_ids(model, tokenizer)
        self.end_id = self._end_of_turn()
        self._base: Student | None = None

    @property
    def device(self) -> torch.device:
        """Where the model's parameters are."""
        return self.model.device

    def in_dtype(self, dtype: str) -> "Student":
        """The same student computing in `dtype`: itself where it does already, else a frozen copy."""
        return self if self.model.dtype == DTYPES[dtype] else self.copy(dtype)

    def copy(self, dtype: str) -> "Student":
        """A frozen copy that computes in `dtype`."""
        model = copy.deepcopy(self.model).to(DTYPES[dtype])
        return Student(model.eval().requires_grad_(False), self.tokenizer, self.template_options)

    @property
    def has_adapter(self) -> bool:
        """Whether LoRA is being trained, over frozen weights that stay those of the base model."""
        return hasattr(self.model, "disable_adapter")

    def remember_base(self, dtype: str) -> None:
        """Keep the model as it is now for `as_base`; with an adapter, that is at hand anyway."""
        self._base = None if self.has_adapter else self.copy(dtype)

    def forget_base(self) -> None:
        """Let go of what `remember_base` kept."""
        self._base = None

    @contextmanager
    def as_base(self) -> Iterator["Student"]:
        """The frozen base model, without gradients.

        Raises:
            RuntimeError: The method did not say that it reads the base model.
        """
        with torch.no_grad():
            if self.has_adapter:
                with self.model.disable_adapter():
                    yield self
            elif self._base is None:
                raise RuntimeError("a method that calls as_base must set reads_base")
            else:
                yield self._base

    def prompt_ids(
        self, prompt: str, system: str = "", earlier: Sequence[tuple[str, str]] = ()
    ) -> tuple[int, ...]:
        """Token ids of a chat that ends with this user turn, up to where the reply begins.

        Args:
            prompt: The user turn.
            system: A system prompt instead of the template's own ('' leaves that).
            earlier: (user, assistant) turns before it.
        """
        turns = [{"role": "system", "content": system}] if system else []
        for user, assistant in earlier:
            turns += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]
        return self._render([*turns, {"role": "user", "content": prompt}], add_generation_prompt=True)

    def target_ids(self, text: str) -> tuple[int, ...]:
        """Token ids of a reply, closed by the end-of-turn token (and nothing after it)."""
        ids = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return (*ids, self.end_id)

    def text(self, ids: Sequence[int]) -> str:
        """The reply that token ids spell, without its end token."""
        kept = [token for token in ids if token not in self.end_ids]
        return self.tokenizer.decode(kept, skip_special_tokens=True).strip()

    def target_logits(self, batch: Batch) -> Tensor:
        """Logits (N, V) at the positions that predict target tokens, and nowhere else."""
        output = self.model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            logits_to_keep=batch.is_predictor,
            use_cache=False,
        )
        return output.logits.reshape(-1, output.logits.shape[-1])

    def target_losses(self, batch: Batch) -> Tensor:
        """NLL in nats of every target token, (N,)."""
        return nll(self.target_logits(batch), batch.target_ids)

    def target_states(self, batch: Batch) -> Tensor:
        """Last hidden states (N, D) at the positions that predict target tokens, for `head`.

        Where several examples share a prompt, as the answers to one question do, it is read once for all.
        """
        prompts = dict.fromkeys(example.prompt_ids for example in batch.examples)
        if 2 * len(prompts) <= len(batch.examples):
            return self._states_after(list(prompts), batch)
        output = self.model.get_decoder()(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, use_cache=False
        )
        return output.last_hidden_state[batch.is_predictor]

    def _states_after(self, prompts: list[tuple[int, ...]], batch: Batch) -> Tensor:
        """`target_states` by way of a cache: prompts first, then all targets but their last tokens."""
        place = {prompt: number for number, prompt in enumerate(prompts)}
        rows = torch.tensor([place[example.prompt_ids] for example in batch.examples], device=self.device)
        tokens, mask = left_pad(prompts, self.device)
        cache, decoder = DynamicCache(), self.model.get_decoder()
        positions = (mask.cumsum(dim=1) - 1).clamp(min=0)
        read = decoder(
            input_ids=tokens, attention_mask=mask, position_ids=positions, cache=cache, use_cache=True
        )
        states = read.last_hidden_state[rows, -1:]
        lengths = torch.tensor([len(example.target_ids) for example in batch.examples], device=self.device)
        width = int(lengths.max()) - 1
        if width:
            cache.batch_select_indices(rows)
            fed = torch.zeros(len(rows), width, dtype=torch.long, device=self.device)
            for row, example in enumerate(batch.examples):
                fed[row, : len(example.target_ids) - 1] = torch.tensor(example.target_ids[:-1])
            columns = torch.arange(width, device=self.device)
            is_fed = columns < (lengths - 1)[:, None]
            after = decoder(
                input_ids=fed,
                attention_mask=torch.cat([mask[rows], is_fed.long()], dim=1),
                position_ids=mask.sum(dim=1)[rows][:, None] + columns,
                cache=cache,
                use_cache=True,
            )
            states = torch.cat([states, after.last_hidden_state], dim=1)
        trained = torch.arange(width + 1, device=self.device) < lengths[:, None]
        for row, example in enumerate(batch.examples):
            trained[row, list(example.masked)] = False
        return states[trained]

    def head(self, states: Tensor) -> Tensor:
        """Logits (n, V) of hidden states (n, D)."""
        return self.model.get_output_embeddings()(states)

    @torch.no_grad()
    def target_nll(self, examples: Sequence[Example], batch_size: int) -> list[Tensor]:
        """NLL in nats of each trained token given prompt and earlier targets; one tensor per example."""
        losses: list[Tensor] = []
        for start in range(0, len(examples), batch_size):
            chunk = examples[start : start + batch_size]
            batch = self.collate(chunk)
            flat = self.target_losses(batch).cpu()
            losses += flat.split([example.trained_tokens for example in chunk])
        return losses

    def collate(self, examples: Sequence[Example]) -> Batch:
        """Pad examples on the right into one batch on the model's device."""
        return collate(examples, pad_id=self.end_id).to(self.device)

    def _render(self, turns: list[dict[str, str]], *, add_generation_prompt: bool) -> tuple[int, ...]:
        encoding = self.tokenizer.apply_chat_template(
            turns,
            add_generation_prompt=add_generation_prompt,
            tokenize=True,
            return_dict=True,
            **self.template_options,
        )
        return tuple(encoding["input_ids"])

    def _end_of_turn(self) -> int:
        """The end token that the chat template itself puts behind a reply."""
        turns = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
        start = len(self._render(turns[:1], add_generation_prompt=True))
        reply = self._render(turns, add_generation_prompt=False)[start:]
        return next((token for token in reply if token in self.end_ids), min(self.end_ids))


def _end_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> frozenset[int]:
    """Every token that ends a reply, by the generation config and the tokenizer."""
    configured = getattr(model.generation_config, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(token for token in [*ids, tokenizer.eos_token_id] if token is not None)
