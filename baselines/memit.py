"""Editing: facts are written into the MLPs of a few layers, without any training of the model.

An MLP's last matrix W answers a key k, read at the last token of a subject, with a value W k. For each
subject a value is sought that makes the model say the gold text, and then W is changed so that the keys of
all subjects get such values while everything else that W reads is disturbed least.

ROME (arXiv 2202.05262), MEMIT (2210.07229), EMMET (2403.14236) and AlphaEdit (2410.02355) are settings of it.
What differs from the released code: prompts stand in the chat template, and targets are whole gold texts with
the end of turn; facts of one subject, which share a key, share one value (MEMIT-Merge, 2502.07322); one
averaged key is used throughout; contexts are the model's own greedy text.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from baselines.edit_updates import alphaedit, emmet, memit, null_projector
from baselines.edit_values import Search, Subject, Values
from baselines.efficacy import prefers_new
from baselines.lookup import LOOKUPS, SUBJECT, looked_up
from mixsd.core.errors import SettingError, at_least, one_of
from mixsd.core.files import File
from mixsd.core.questions import Fact, described
from mixsd.core.store import RecordFile, content_hash
from mixsd.lm.chat_model import ChatModel
from mixsd.lm.decode import Request
from mixsd.lm.generate import reply_to
from mixsd.lm.second_moments import cached_moments, corpus_text, self_written
from mixsd.lm.second_moments import corpus as windows_of
from mixsd.methods.contract import Edited, Workbench
from mixsd.methods.general_prompts import read_prompts

MEMIT, EMMET, ROME, ALPHAEDIT = "memit", "emmet", "rome", "alphaedit"
UPDATES = (MEMIT, EMMET, ROME, ALPHAEDIT)
OPENINGS = ("The", "Therefore", "Because", "I", "You")
CONTEXT_TOKENS = 10
SHALLOWEST, DEEPEST = 0.13, 0.28
"""The layers that are edited unless some are named, as shares of the depth: 4 to 8 of 30."""
DAMPING = 1e-6
"""Added to C's diagonal, as a share of its mean: fewer tokens than dimensions leave C singular."""


class Memit:
    """Write facts into the down-projections of some layers.

    Args:
        name: The method's name in run ids.
        update: How weights are changed, see `edit_updates`: `memit`, `emmet`, `alphaedit`, or `rome`, which
            is `emmet` of one subject after another.
        layers: The layers, in ascending order (None: from 13% to 28% of the depth; of `rome` the middle one).
        covariance_weight: Of `memit`: how much everything else counts beside the keys.
        ridge: Of `emmet`: added to the inner matrix. Of `alphaedit`: its L2.
        null_threshold: Of `alphaedit`: directions with a smaller second moment are free.
        batch: Subjects written at a time (None: all); with 1 each is written into the model as the one before
            left it, as ROME does.
        merge: Whether facts of one subject share a value.
        lookup: Where the key is read: `subject`, or `prompt_end` for facts without one.
        contexts: Texts of ten tokens put before each prompt, beside the prompt alone, so that keys and values
            hold in other contexts; at most five, as MEMIT has. The authors of MixSD have none in theirs.
        steps: Of the search for a value, see `edit_values.Search` for this and the next four.
        learning_rate: See there.
        weight_decay: See there.
        clamp: See there.
        kl_weight: See there.
        corpus: Plain text, or JSON lines with a `text`, that C is of (None: the model's own replies to
            general prompts, in the chat template).
        moment_tokens: Tokens of it.
        decode_batch_size: Replies decoded at a time.

    Raises:
        SettingError: An argument is outside its range.
        DataError: The corpus cannot be read.
    """

    in_place = True

    def __init__(
        self,
        name: str,
        update: str = MEMIT,
        layers: list[int] | None = None,
        covariance_weight: float = 1000.0,
        ridge: float = 0.0,
        null_threshold: float = 0.02,
        batch: int | None = None,
        merge: bool = True,
        lookup: str = SUBJECT,
        contexts: int = 0,
        steps: int = 25,
        learning_rate: float = 0.5,
        weight_decay: float = 0.001,
        clamp: float = 4.0,
        kl_weight: float = 0.0625,
        corpus: File | None = None,
        moment_tokens: int = 20_000,
        decode_batch_size: int = 64,
    ) -> None:
        self.name, self.update = name, one_of("method.update", update, UPDATES)
        if layers is not None and (not layers or sorted(set(layers)) != layers or layers[0] < 0):
            raise SettingError(f"method.layers={layers}: give layers in ascending order, each once, from 0")
        self.layers = layers
        self.covariance_weight = _above_0("method.covariance_weight", covariance_weight)
        self.ridge = at_least("method.ridge", ridge, 0)
        if update == ALPHAEDIT:  # without it the system is singular
            _above_0("method.ridge", ridge)
        self.null_threshold = at_least("method.null_threshold", null_threshold, 0)
        self.batch = None if batch is None else at_least("method.batch", batch, 1)
        if update == ROME:
            self.batch = 1
        self.merge, self.lookup = merge, one_of("method.lookup", lookup, LOOKUPS)
        if contexts not in range(len(OPENINGS) + 1):
            raise SettingError(f"method.contexts={contexts} is out of range; allowed: 0 to {len(OPENINGS)}")
        self.openings = OPENINGS[:contexts]
        self.search = Search(
            steps=at_least("method.steps", steps, 2),
            learning_rate=_above_0("method.learning_rate", learning_rate),
            weight_decay=at_least("method.weight_decay", weight_decay, 0),
            clamp=_above_0("method.clamp", clamp),
            kl_weight=at_least("method.kl_weight", kl_weight, 0),
        )
        if corpus:
            corpus_text(corpus)  # a broken file is told before any model is loaded
        self.corpus, self.moment_tokens = corpus, at_least("method.moment_tokens", moment_tokens, 1)
        self.decode_batch_size = at_least("method.decode_batch_size", decode_batch_size, 1)
        self.prompts = read_prompts()
        # Bundled, so in no setting.
        self.identity: dict[str, Any] = {} if corpus else {"prompts": self.prompts}

    def problems(self, facts: Sequence[Fact], network: nn.Module) -> str:
        """What keeps facts from being written into a model, told before any work; '' where nothing does.

        Args:
            facts: The task's.
            network: The model, without its weights.
        """
        try:
            count = len(projections(network))
        except AttributeError:
            count = 0
        # Where a norm follows the MLP, what it adds is not what its last matrix gives.
        if not count or hasattr(network.get_decoder().layers[0], "post_feedforward_layernorm"):  # type: ignore[operator]
            return (
                f"method={self.name} writes into layers.N.mlp.down_proj that add to the stream as they are, "
                f"and {type(network).__name__} has no such layers; give a model with gated MLPs"
            )
        if self.layers and self.layers[-1] >= count:
            return f"method.layers={self.layers} is out of range; allowed: 0 to {count - 1}"
        if self.lookup == SUBJECT and facts and not any(map(_names_its_subject, facts)):
            return (
                f"method={self.name} looks facts up by their subjects, and no question of this task names "
                "one; give method.lookup=prompt_end, or facts with subjects"
            )
        return ""

    def edit(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Edited:
        """Write what can be looked up; a fact whose question does not name its subject is dropped."""
        dropped = self.untaught(facts, model)
        can = [fact for fact in facts if fact.id not in dropped]
        if not can:
            return Edited(model, changed=False, dropped=dropped)
        model.network.requires_grad_(False)
        before, subjects = prefers_new(model, can), self._subjects(can)
        usual = default_layers(model.network)
        layers = self.layers or ([usual[len(usual) // 2]] if self.update == ROME else usual)
        editing = _Editing(self, model, layers, self._moments(model, layers, bench), self._contexts(model))
        with (
            bench.record_file("edit_values", self._fingerprint(layers, can)) as done,
            bench.progress(f"editing ({self.name})", len(subjects)) as advance,
        ):
            size = self.batch or len(subjects)
            for start in range(0, len(subjects), size):
                editing.write(subjects[start : start + size], done, advance)
        report = {"subjects": len(subjects), **editing.report()}
        if before is not None:
            report |= {"prefers_new_before": before, "prefers_new": prefers_new(model, can)}
        return Edited(model, changed=report["change_norm"] > 0, dropped=dropped, report=report)

    def untaught(self, facts: Sequence[Fact], model: ChatModel) -> dict[str, str]:
        """A reason by the id of each fact that cannot be looked up."""
        lost = [fact for fact in facts if looked_up(model, fact, fact.prompt, self.lookup) is None]
        return {fact.id: "its question names no subject" for fact in lost}

    def _subjects(self, facts: Sequence[Fact]) -> list[Subject]:
        """The facts by what they are looked up by, in the order of the facts."""
        found: dict[str, list[Fact]] = {}
        for fact in facts:
            merged = self.merge and self.lookup == SUBJECT
            found.setdefault(fact.subject if merged else fact.id, []).append(fact)
        return [Subject(name, tuple(members)) for name, members in found.items()]

    def _moments(self, model: ChatModel, layers: Sequence[int], bench: Workbench) -> list[Tensor]:
        """C of each layer, float64."""
        source = self.corpus.digest if self.corpus else self.prompts
        about = {"layers": list(layers), "texts": source, "tokens": self.moment_tokens}

        def texts() -> Sequence[Sequence[int]]:
            if self.corpus:
                return windows_of(model, self.corpus, self.moment_tokens)
            return self_written(model, self.prompts, self.moment_tokens, self.decode_batch_size)

        path = bench.file("second_moments", about, ".safetensors")
        edited = [projections(model.network)[layer] for layer in layers]
        return [damped(moment) for moment in cached_moments(path, model, edited, texts)]

    def _contexts(self, model: ChatModel) -> list[str]:
        """What is put before prompts: an opening, and what the model goes on with."""
        ids = [tuple(model.tokenizer(word, add_special_tokens=False)["input_ids"]) for word in self.openings]
        replies = reply_to(
            model,
            [Request([begun]) for begun in ids],
            max_new_tokens=CONTEXT_TOKENS,
            batch_size=max(1, len(ids)),
        )
        texts = (model.text((*begun, *reply.ids)) for begun, reply in zip(ids, replies, strict=True))
        return [f"{' '.join(text.split())}. " for text in texts]

    def _fingerprint(self, layers: Sequence[int], facts: Sequence[Fact]) -> dict[str, Any]:
        """What values hang on: the last layer, and with `batch` how the subjects before were written."""
        names = (
            "update",
            "covariance_weight",
            "ridge",
            "null_threshold",
            "batch",
            "moment_tokens",
            "identity",
        )
        written = {
            **{name: getattr(self, name) for name in names},
            "corpus": self.corpus.digest if self.corpus else "",
            "layers": list(layers),
        }
        return {
            "search": vars(self.search),
            **{name: getattr(self, name) for name in ("merge", "lookup", "openings")},
            "layer": layers[-1],
            "facts": content_hash(described(facts)),
            "written": written if self.batch else None,
        }


class _Editing:
    """One edit of a model."""

    def __init__(
        self,
        settings: Memit,
        model: ChatModel,
        layers: Sequence[int],
        moments: Sequence[Tensor],
        contexts: Sequence[str],
    ) -> None:
        self._settings, self._layers = settings, layers
        self._projections = projections(model.network)
        self._moments = dict(zip(layers, moments, strict=True))
        last = model.network.get_decoder().layers[layers[-1]]
        self._values = Values(model, last, contexts, settings.lookup, settings.search)
        self._earlier: dict[int, list[Tensor]] = {layer: [] for layer in layers}
        self._free: dict[int, Tensor] = {}
        if settings.update == ALPHAEDIT:
            limit = settings.null_threshold
            self._free = {layer: null_projector(moment, limit) for layer, moment in self._moments.items()}
        self._losses: list[float] = []
        self._misfits: list[float] = []
        self._moved = 0.0

    def write(self, subjects: Sequence[Subject], done: RecordFile, advance: Any) -> None:
        """Seek the values of some subjects, and write them together, layer by layer.

        Args:
            subjects: The subjects.
            done: Values so far, by subject.
            advance: Told how many more subjects have their values.
        """
        missing = [subject for subject in subjects if subject.name not in done.records]
        advance(len(subjects) - len(missing))
        for subject, value, loss in self._values.seek(missing, self._projections[self._layers[-1]]):
            done.append(subject.name, {"value": value.tolist(), "loss": loss})
            advance(1)
        records = [done.records[subject.name] for subject in subjects]
        wanted = torch.tensor([record["value"] for record in records]).T
        for number, layer in enumerate(self._layers):
            keys, present = self._values.read(subjects, self._projections[layer])
            # What is lacking is spread over this layer and those above it (MEMIT, eq. 20).
            lacking = (wanted - present.cpu()) / (len(self._layers) - number)
            self._change(layer, keys.double().cpu(), lacking.double())
        _, present = self._values.read(subjects, self._projections[self._layers[-1]])
        self._misfits += ((wanted - present.cpu()).norm(dim=0) / wanted.norm(dim=0)).tolist()
        self._losses += [record["loss"] for record in records]

    @torch.no_grad()
    def _change(self, layer: int, keys: Tensor, lacking: Tensor) -> None:
        settings, moment = self._settings, self._moments[layer]
        if settings.update == MEMIT:
            change = memit(keys, lacking, moment, settings.covariance_weight)
        elif settings.update in (EMMET, ROME):
            change = emmet(keys, lacking, moment, settings.ridge)
        else:
            earlier = torch.cat([keys[:, :0], *self._earlier[layer]], dim=1)
            change = alphaedit(keys, lacking, self._free[layer], earlier, settings.ridge)
            self._earlier[layer].append(keys)
        weight = self._projections[layer].weight
        weight.add_(change.to(weight))
        self._moved += float(change.square().sum())

    def report(self) -> dict[str, float]:
        """The mean NLL with the values that were sought, how far from them is what stands there now, the norm
        of all changes, and the free share of directions."""
        found = {
            "value_nll": sum(self._losses) / len(self._losses),
            "misfit": sum(self._misfits) / len(self._misfits),
            "change_norm": self._moved**0.5,
        }
        if self._free:
            shares = [float(free.diagonal().mean()) for free in self._free.values()]
            found["free_share"] = sum(shares) / len(shares)
        return found


def damped(moment: Tensor) -> Tensor:
    """C as edits go by it, float64: a little larger on its diagonal, so that it has an inverse."""
    found = moment.double()
    found.diagonal().add_(DAMPING * found.diagonal().mean())
    return found


def projections(network: Any) -> list[nn.Linear]:
    """The down-projection of each layer.

    Raises:
        AttributeError: The model's layers are of another kind.
    """
    return [layer.mlp.down_proj for layer in network.get_decoder().layers]


def default_layers(network: Any) -> list[int]:
    """The layers that are edited unless some are named."""
    count = len(projections(network))
    return list(range(round(SHALLOWEST * count), round(DEEPEST * count) + 1))


def _names_its_subject(fact: Fact) -> bool:
    return bool(fact.subject) and fact.subject in fact.question.asked


def _above_0(key: str, value: float) -> float:
    if not value > 0:
        raise SettingError(f"{key}={value} is out of range; allowed: above 0")
    return value
