"""What a run needs of memory, told before its model is loaded.

Weights and what an optimiser keeps of them are counted; what a forward pass keeps for the backward one is
taken from a pass of the model's own code over tensors without contents, one and two layers deep, since every
further layer keeps the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import psutil
import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from transformers import AutoModelForCausalLM, PretrainedConfig

from mixsd.core.questions import RECALL
from mixsd.lm.chat_model import DTYPES
from mixsd.lm.load import config_of, template_of, without_weights
from mixsd.methods.contract import GradientMethod, longest_prompt, reads_base
from mixsd.run.config import RunConfig
from mixsd.run.settings import NONE
from mixsd.run.trainable import layers, named

GB = 1e9
FLOAT32 = 4
SURE = 100
"""Bytes a parameter that no usual run exceeds: a training holds 16, and activations of long batches."""
TOO_MUCH = "does not fit by this estimate"


@dataclass(frozen=True)
class Stage:
    """What one stage of a run holds at its peak.

    Attributes:
        name: The stage.
        parts: Bytes of each thing that is held.
    """

    name: str
    parts: Mapping[str, int]

    @property
    def bytes(self) -> int:
        """All of them."""
        return sum(self.parts.values())


@dataclass(frozen=True)
class Lengths:
    """Tokens of what is trained on, at most.

    Attributes:
        context: The longest question with its reply, as the method asks it.
        example: The longest example, prompt and target.
        target: The longest targets of a micro-batch, on average.
    """

    context: int
    example: int
    target: int


@dataclass(frozen=True)
class Shape:
    """What of a model decides its memory.

    Attributes:
        parameters: All weights, tied ones once.
        trained: Those of them that may change, where there are no adapters.
        linear: Weights of linear layers, the output layer's included.
        output: Weights of the output layer.
        adapters: Weights of LoRA adapters of rank 1 on the linear layers that get some.
        cached: Numbers that the KV cache keeps of a token.
        vocabulary: Tokens.
    """

    parameters: int
    trained: int
    linear: int
    output: int
    adapters: int
    cached: int
    vocabulary: int


def stages_of(config: RunConfig, network: PretrainedConfig, lengths: Lengths) -> list[Stage]:
    """The stages of a run with what each holds, on one device.

    Args:
        config: The run.
        network: The config of its model.
        lengths: Of what is trained on.
    """
    shape = shape_of(network, config.training.only)
    weights = FLOAT32 * shape.parameters
    splits = Counter(probe.split for probe in config.probes)
    many = config.model.scoring_batch_size if config.retention.tasks else max(splits.values())
    found = [Stage("scoring", {"weights": weights, **_reading(config, shape, lengths.context, many)})]
    if isinstance(config.method, GradientMethod):
        held = _trained(config, shape)
        evaluated = _reading(config, shape, lengths.context, splits[RECALL])
        found += [
            Stage("training", {**held, **_step(config, network, shape, lengths)}),
            # By then a step's gradients are gone.
            Stage("evaluation in training", {**held, **evaluated}),
        ]
    if config.drift.measure:
        both = {"base and tuned weights": 2 * weights}
        found.append(Stage("drift", {**both, "gradients and Fisher diagonal": 2 * weights}))
    if config.training.interpolate:
        reading = _reading(config, shape, lengths.context, many)
        found.append(Stage("interpolation", {"three models": 3 * weights, **reading}))
    return found


def _reading(config: RunConfig, shape: Shape, context: int, questions: int) -> dict[str, int]:
    """What decoding needs beside the weights, for so many questions of so many tokens with their replies."""
    size = DTYPES[config.model.scoring_dtype].itemsize
    rows = min(config.model.scoring_batch_size, questions)
    on_cpu, helpers = not torch.cuda.is_available(), (config.devices or 1) - 1
    found = {
        "a copy in the scoring dtype": 0 if size == FLOAT32 else size * shape.parameters,
        # Only on a CPU are weights laid out once more while they are read.
        "packed weights": size * shape.linear if on_cpu else 0,
        "KV cache": size * shape.cached * context * rows,
        "logits": size * shape.vocabulary * rows,
    }
    # On GPUs each has its own.
    return {**found, "helpers": helpers * (size * shape.parameters + sum(found.values())) if on_cpu else 0}


def _trained(config: RunConfig, shape: Shape) -> dict[str, int]:
    """What a training holds all the time."""
    lora = config.training.lora
    trained = lora * shape.adapters if lora else shape.trained
    return {
        "weights": FLOAT32 * shape.parameters,
        "adapters": FLOAT32 * trained if lora else 0,
        "AdamW": 2 * FLOAT32 * trained,
        "the base model": _base_copy(config, shape),
        "penalty": 0
        if config.training.penalty == NONE
        else FLOAT32 * (shape.linear if lora else 2 * trained),
    }


def _step(config: RunConfig, network: PretrainedConfig, shape: Shape, lengths: Lengths) -> dict[str, int]:
    """What a training step holds for a time."""
    training, method = config.training, config.method
    # As many, however few facts there are: then a step has some of them twice.
    examples = training.batch_size * getattr(method, "rollouts", 1)
    rows = min(training.micro_batch_size, examples)
    # Some losses make logits piece by piece, and again for the gradient.
    logits = lengths.target if getattr(method, "keeps_logits", True) else 1
    inputs_alone = training.gradient_checkpointing
    kept = activations(network, rows, lengths.example, logits, training.dtype, inputs_alone)
    gradients = FLOAT32 * (training.lora * shape.adapters if training.lora else shape.trained)
    # Of the first micro-batch they take the place of activations; of others they are there before.
    is_one = rows >= examples
    return {
        "activations": kept,
        "gradients": max(0, gradients - kept) if is_one else gradients,
        "gradients of the logits": FLOAT32 * rows * logits * shape.vocabulary,
        "gradient of the output layer": 0 if training.lora or training.only else FLOAT32 * shape.output,
    }


def _base_copy(config: RunConfig, shape: Shape) -> int:
    method: Any = config.method
    is_kept = reads_base(method) and not config.training.lora
    return DTYPES[config.training.dtype].itemsize * shape.parameters if is_kept else 0


def shape_of(network: PretrainedConfig, only: Sequence[str] = ()) -> Shape:
    """Count a model's weights without making them.

    Args:
        network: The model's config.
        only: What is trained (`training.only`).
    """
    model = without_weights(network)
    linear = {name: layer for name, layer in model.named_modules() if isinstance(layer, torch.nn.Linear)}
    output = model.get_output_embeddings()
    text = network.get_text_config()
    heads = text.num_attention_heads
    head = getattr(text, "head_dim", None) or text.hidden_size // heads
    kv_heads = getattr(text, "num_key_value_heads", None) or heads
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    return Shape(
        parameters=sum(sizes.values()),
        trained=sum(sizes[name] for name in named(sizes, only)),
        linear=sum(layer.weight.numel() for layer in linear.values()),
        output=output.weight.numel(),
        adapters=sum(linear[name].in_features + linear[name].out_features for name in layers(model, only)),
        cached=2 * text.num_hidden_layers * kv_heads * head,
        vocabulary=output.weight.shape[0],
    )


def activations(
    network: PretrainedConfig, rows: int, tokens: int, targets: int, dtype: str, inputs_alone: bool = False
) -> int:
    """Bytes that a forward pass keeps for the backward one.

    Args:
        network: The model's config.
        rows: Examples in the batch.
        tokens: Of an example.
        targets: Those of them that are trained on.
        dtype: `bfloat16` for autocast.
        inputs_alone: Whether of a layer its input is kept alone, and the rest is computed again.
    """
    one, two = (_kept(_with_layers(network, layers), rows, tokens, targets, dtype) for layers in (1, 2))
    text = network.get_text_config()
    each = FLOAT32 * rows * tokens * text.hidden_size if inputs_alone else two - one
    return one + each * (text.num_hidden_layers - 1)


def _with_layers(network: PretrainedConfig, layers: int) -> PretrainedConfig:
    shallow = deepcopy(network)
    text = shallow.get_text_config()
    text.num_hidden_layers = layers
    kinds: Sequence[str] | None = getattr(text, "layer_types", None)
    if kinds:
        text.layer_types = list(kinds)[:layers]
    return shallow


def _kept(network: PretrainedConfig, rows: int, tokens: int, targets: int, dtype: str) -> int:
    with FakeTensorMode(allow_non_fake_inputs=True):
        model: Any = AutoModelForCausalLM.from_config(network, dtype=torch.float32).train()
        own = {weight.untyped_storage()._cdata for weight in model.parameters()}
        # With the tensors, so that no storage is freed and another put in its place.
        seen: dict[int, tuple[int, Any]] = {}

        def keep(tensor: Any) -> Any:
            storage = tensor.untyped_storage()
            if storage._cdata not in own:
                seen[storage._cdata] = storage.nbytes(), tensor
            return tensor

        ids = torch.zeros(rows, tokens, dtype=torch.long)
        with (
            torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
            torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bfloat16"),
        ):
            logits = model(ids, attention_mask=torch.ones_like(ids), logits_to_keep=targets, use_cache=False)
            flat = logits.logits.reshape(rows * targets, -1).float()
            F.cross_entropy(flat, torch.zeros(rows * targets, dtype=torch.long), reduction="none")
        return sum(size for size, _ in seen.values())


def estimate(config: RunConfig) -> list[Stage]:
    """The stages of a run with what each holds, from its config alone.

    Raises:
        ModelUnavailableError: The model's config cannot be read.
    """
    template = template_of(config.model, config.cache_dir)
    return stages_of(config, config_of(config.model, config.cache_dir), lengths_of(config, template))


def warning(config: RunConfig) -> str:
    """What to tell before a model is loaded that does not fit by the estimate; '' where it fits."""
    available = there()
    try:
        # A model that is small beside the memory needs no closer look, which takes seconds.
        small = SURE * shape_of(config_of(config.model, config.cache_dir)).parameters < available
        said = "" if small else verdict(estimate(config), available)
    except Exception:  # noqa: BLE001 - a model that cannot be estimated may still run
        return ""
    return said if said.startswith(TOO_MUCH) else ""


def there() -> int:
    """Bytes of memory that the device has, all in all."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_properties(0).total_memory
    return psutil.virtual_memory().total


def lengths_of(config: RunConfig, template: Any) -> Lengths:
    """How long prompts and targets are; targets that a model writes, as long as they may be.

    Args:
        config: The run.
        template: The model's chat template.
    """

    def gold(text: str) -> int:
        return len(template.tokenizer(text, add_special_tokens=False)["input_ids"]) + 1

    written = getattr(config.method, "max_new_tokens", None)
    facts = config.task.facts

    def rendered(text: str) -> int:
        return len(template.ids([{"role": "user", "content": text}], reply_follows=True))

    prompts = [rendered(fact.prompt) for fact in facts]
    asked = max(rendered(longest_prompt(config.method, fact)) for fact in facts)
    targets = [written or gold(fact.gold_text) for fact in facts]
    longest = sorted(targets, reverse=True)[: config.training.micro_batch_size]
    return Lengths(
        context=asked + config.task.max_new_tokens,
        example=max(map(sum, zip(prompts, targets, strict=True))),
        target=-(-sum(longest) // len(longest)),
    )


def not_counted(config: RunConfig, network: PretrainedConfig) -> str:
    """What comes on top of the estimate, in one line."""
    size = DTYPES[config.model.scoring_dtype].itemsize
    cache = size * shape_of(network).cached * 1000 * config.model.scoring_batch_size
    return (
        f"not counted: held-out tasks with longer prompts and replies ({cache / GB:.1f} GB a 1,000 tokens at "
        f"model.scoring_batch_size={config.model.scoring_batch_size}), targets and rollouts while they are "
        "decoded, an averaged teacher, and what the allocator and libraries keep"
    )


def verdict(stages: Sequence[Stage], available: int) -> str:
    """Whether it fits, in one line, and what makes it smaller where it does not."""
    peak = max(stages, key=lambda stage: stage.bytes)
    said = f"{peak.bytes / GB:.1f} GB at its peak ({peak.name}), of {available / GB:.1f} GB on this device"
    if peak.bytes <= available:
        return f"fits by this estimate: {said}"
    return (
        f"{TOO_MUCH}: {said}; smaller: training.gradient_checkpointing=true, training.lora=16, "
        "training.micro_batch_size, model.scoring_batch_size, drift=none"
    )
