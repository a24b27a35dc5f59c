"""MixSD as a method: mixed targets, then plain NLL on them, exactly as in SFT (paper section 3)."""

from dataclasses import asdict, replace
from functools import partial
from typing import Any

from torch import Tensor

from mixsd.errors import at_least, one_of
from mixsd.knowledge import Fact, Task
from mixsd.method import Batch, Example, Preparation, Student, Workbench, gold_example
from mixsd.mixing.contexts import wording
from mixsd.mixing.ready import file_digest, read_targets
from mixsd.mixing.targets import POLICIES, MixSettings, Target, make_targets, summarize


class MixSD:
    """Train on targets that the frozen base model wrote itself.

    Args:
        name: The method's name in run ids.
        mixing_rate: P(naive), the paper's lambda.
        temperature: 0 is greedy.
        top_k: Tokens to sample among when T > 0 (None: all).
        max_attempts: First try and retries.
        on_failure: What is trained on for a fact whose every attempt was rejected: nothing (`drop`), the
            gold text (`gold`), or the last attempt (`keep_last`).
        reject: Checks beyond the answer: `context_reference`, `unsupported`; empty restores the paper.
        expert_wording: How the expert prompt shows the gold text.
        decode_dtype: Arithmetic of decoding. In float32 the batch size does not change the targets.
        decode_batch_size: Pairs decoded at a time.
        targets: Train on the targets of this file instead (see `ready`); None: decode them.
        seed: Draws coins and tokens.

    Raises:
        SettingError: An argument is outside its range.
    """

    def __init__(
        self,
        name: str,
        mixing_rate: float,
        temperature: float,
        top_k: int | None,
        max_attempts: int,
        on_failure: str,
        reject: list[str],
        expert_wording: str,
        decode_dtype: str,
        decode_batch_size: int,
        targets: str | None,
        seed: int,
    ) -> None:
        self.name = name
        self.settings = MixSettings(
            mixing_rate, temperature, top_k, max_attempts, tuple(reject), expert_wording, seed
        )
        self.on_failure = one_of("method.on_failure", on_failure, POLICIES)
        self.decode_dtype = one_of("method.decode_dtype", decode_dtype, ("float32", "bfloat16"))
        self.decode_batch_size = at_least("method.decode_batch_size", decode_batch_size, 1)
        self.targets = targets
        self.identity = {
            "wording": asdict(wording(expert_wording)),
            "targets": file_digest(targets) if targets else None,
        }

    def prepare(self, task: Task, student: Student, bench: Workbench) -> Preparation:
        """Decode and verify a target for every fact, or take them from the cache or a file."""
        if self.targets:
            return read_targets(self.targets, task, student)
        targets = self._targets(task, student, bench, self.settings, "mixing targets")
        facts = {fact.id: fact for fact in task.facts}
        kept = [self._example(target, facts[target.fact_id], student) for target in targets]
        examples = [example for example in kept if example is not None]
        dropped = {t.fact_id: t.rejections[-1] for t, e in zip(targets, kept, strict=True) if e is None}
        report = summarize(targets, task, self.settings)
        contrasts = (
            {} if self.settings.mixing_rate == 0 else {"expert": partial(self._expert, task, student, bench)}
        )
        decoded = sum(target.decoded for target in targets)
        return Preparation(examples, dropped, report, decoded, contrasts)

    def loss(self, batch: Batch, student: Student) -> Tensor:
        """NLL per target token, (N,), the same as SFT's."""
        return student.target_losses(batch)

    def _example(self, target: Target, fact: Fact, student: Student) -> Example | None:
        """What is trained on for a target, by the failure policy; None where nothing is."""
        if not target.passed and self.on_failure == "drop":
            return None
        if not target.passed and self.on_failure == "gold":
            return gold_example(fact, student)
        prompt = student.prompt_ids(fact.prompt)
        return Example(fact.id, prompt, target.ids, target.provenance, target.text, target.attempt)

    def _targets(
        self, task: Task, student: Student, bench: Workbench, settings: MixSettings, title: str
    ) -> list[Target]:
        with (
            bench.record_file("targets", self._fingerprint(task, settings)) as done,
            bench.progress(title, len(task.facts)) as advance,
        ):
            return make_targets(
                task,
                student.in_dtype(self.decode_dtype),
                settings,
                batch_size=self.decode_batch_size,
                done=done,
                on_finished=lambda _: advance(1),
            )

    def _expert(self, task: Task, student: Student, bench: Workbench) -> list[Example]:
        """The expert's own greedy replies (mixing rate 0), right or wrong: what mixing starts from."""
        settings = replace(self.settings, mixing_rate=0.0, temperature=0.0, max_attempts=1)
        targets = self._targets(task, student, bench, settings, "the expert's own replies")
        by_id = {target.fact_id: target for target in targets}
        return [
            Example(
                f.id, student.prompt_ids(f.prompt), by_id[f.id].ids, by_id[f.id].provenance, by_id[f.id].text
            )
            for f in task.facts
        ]

    def _fingerprint(self, task: Task, settings: MixSettings) -> dict[str, Any]:
        """Everything that changes a target, beyond the model; in bf16 the batch size does."""
        batch = self.decode_batch_size if self.decode_dtype == "bfloat16" else None
        return {
            **asdict(settings),
            **self.identity,
            "task": task.identity,
            "decode_dtype": self.decode_dtype,
            "decode_batch_size": batch,
            "max_new_tokens": task.max_new_tokens,
            "facts": [asdict(fact) for fact in task.facts],
        }
