"""An edit and a training, one after the other, in one run.

The base model stays the original: scores, drift, interpolation and what a loss reads as the base are of it.
What comes second works on what the first left: targets are written by the edited model, or keys and second
moments are read from the trained one.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from torch import nn

from mixsd.core.errors import SettingError, one_of
from mixsd.core.questions import Fact
from mixsd.core.store import RecordFile
from mixsd.lm.batches import Batch
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.parcels import weights_digest
from mixsd.methods.contract import (
    ChoosesExamples,
    Editor,
    GradientMethod,
    HasState,
    Preparation,
    TokenLoss,
    Workbench,
    identity_of,
    inert_settings,
    longest_prompt,
    problems_of,
    reads_base,
)

EDIT_FIRST, TRAIN_FIRST = "edit_first", "train_first"
ORDERS = (EDIT_FIRST, TRAIN_FIRST)
ALL, BY_KIND = "all", "by_kind"
SPLITS = (ALL, BY_KIND)


class Composed:
    """Edit, then train, or the other way round.

    Args:
        name: The method's name in run ids.
        edit: The editor.
        train: The method that trains; one whose examples are all prepared beforehand.
        order: `edit_first` or `train_first`.
        split: `all`: both teach all facts. `by_kind`: what replaces an answer is edited, the rest trained.

    Raises:
        SettingError: An argument is none of these.
    """

    def __init__(self, name: str, edit: Any, train: Any, order: str = EDIT_FIRST, split: str = ALL) -> None:
        if not isinstance(edit, Editor) or not getattr(edit, "in_place", False):
            raise SettingError(
                f"method.edit={_called(edit)} writes nothing into the weights it is given; give an editor "
                "that does, such as memit"
            )
        if not isinstance(train, GradientMethod) or isinstance(train, ChoosesExamples | HasState):
            raise SettingError(
                f"method.train={_called(train)} does not prepare all that it trains on beforehand; give one "
                "that does, such as mixsd or sft"
            )
        self.name, self.train = name, train
        self.editor: Any = edit
        self.order = one_of("method.order", order, ORDERS)
        self.starts_elsewhere = order == EDIT_FIRST
        self.split = one_of("method.split", split, SPLITS)
        self.identity: dict[str, Any] = {"edit": identity_of(edit), "train": identity_of(train)}
        parts = {"edit": edit, "train": train}
        self.inert = frozenset(
            f"{key}.{name}" for key, part in parts.items() for name in inert_settings(part)
        )
        self.reads_base = reads_base(train)
        self.keeps_logits = getattr(train, "keeps_logits", True)
        self.max_new_tokens = getattr(train, "max_new_tokens", None)

    def longest_prompt(self, fact: Fact) -> str:
        """The longest user turn of either."""
        return max(longest_prompt(self.editor, fact), longest_prompt(self.train, fact), key=len)

    def problems(self, facts: Sequence[Fact], network: nn.Module) -> str:
        """What keeps either from teaching its facts; see `Editor` and `GradientMethod`."""
        edited, trained = self._edited(facts), self._trained(facts)
        if facts and not (edited and trained):
            kind = "replaces" if trained else "does not replace"
            return f"method.split={BY_KIND} wants facts of both kinds, and none of this task {kind} an answer"
        return problems_of(self.editor, edited, network) or problems_of(self.train, trained, network)

    def prepare(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Preparation:
        """What is trained on, written by the edited model where the edit comes first."""
        if self.order == TRAIN_FIRST:
            made = self.train.prepare(self._trained(facts), model, bench)
        else:
            edited = model.copy("float32")
            self._edit(facts, edited, bench)
            made = self.train.prepare(self._trained(facts), edited, _Elsewhere(bench, edited))
        untaught = self.editor.untaught(self._edited(facts), model)
        if self.split == BY_KIND:
            made.dropped = {**made.dropped, **untaught}
        else:  # what either teaches is taught
            made.dropped = {name: why for name, why in made.dropped.items() if name in untaught}
        return made

    def loss(self, batch: Batch, model: ChatModel) -> TokenLoss:
        """That of the method that trains."""
        return self.train.loss(batch, model)

    def start(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> dict[str, Any]:
        """Change the base model in place, before the first step; gives the editor's numbers."""
        return self._edit(facts, model, bench) if self.order == EDIT_FIRST else {}

    def finish(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> dict[str, Any]:
        """Change the trained model in place, after the last step; gives the editor's numbers."""
        return self._edit(facts, model, _Elsewhere(bench, model)) if self.order == TRAIN_FIRST else {}

    def _edit(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> dict[str, Any]:
        report = self.editor.edit(self._edited(facts), model, bench).report
        return {f"edit_{name}": value for name, value in report.items()}

    def _edited(self, facts: Sequence[Fact]) -> list[Fact]:
        return [fact for fact in facts if self.split == ALL or fact.replaces]

    def _trained(self, facts: Sequence[Fact]) -> list[Fact]:
        return [fact for fact in facts if self.split == ALL or not fact.replaces]


def _called(method: Any) -> str:
    return str(getattr(method, "name", method))


class _Elsewhere:
    """A workbench for a model that is not the base: what is kept is known by its weights, too."""

    def __init__(self, bench: Workbench, model: ChatModel) -> None:
        self._bench, self._weights = bench, weights_digest(model)

    def record_file(self, kind: str, fingerprint: dict[str, Any]) -> AbstractContextManager[RecordFile]:
        """See `Workbench`."""
        return self._bench.record_file(kind, {**fingerprint, "weights": self._weights})

    def file(self, kind: str, fingerprint: dict[str, Any], suffix: str) -> Path:
        """See `Workbench`."""
        return self._bench.file(kind, {**fingerprint, "weights": self._weights}, suffix)

    def progress(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """See `Workbench`."""
        return self._bench.progress(title, total)
