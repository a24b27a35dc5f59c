"""`results.json` of a run, from the scores of its base and tuned model."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mixsd.core.grading import grade
from mixsd.core.questions import NEIGHBORS, PARAPHRASE, RECALL, Axis, Fact, Outcome
from mixsd.core.scores import GENERATED, ProbeAnswer, Scores, TaskScores, accuracy
from mixsd.results import aggregate
from mixsd.results.contamination import contaminated
from mixsd.results.items import write_pairs
from mixsd.results.schema import (
    VERSION,
    Breakdown,
    Cost,
    Derived,
    Drift,
    Interpolated,
    KindShare,
    Retention,
    RunResults,
    Share,
    SplitResult,
    TargetReport,
    TrainingReport,
)
from mixsd.results.stats import proportion_interval
from mixsd.results.wrong_answers import Trained, breakdown


@dataclass(frozen=True)
class Subject:
    """What a run is about, as far as its results say so.

    Attributes:
        run_id: `<task>-<method>-<model>-s<seed>-<hash>`.
        task: The task's name.
        method: The method's name.
        model: The model's label.
        seed: The seed that the methods share.
        facts: The task's facts, whether trained on or not.
        axes: What each split measures.
        measured_by: A hash of each thing that the numbers hang on.
        caveats: What a reader of the held-out scores must know.
        suite: The held-out suite, described.
    """

    run_id: str
    task: str
    method: str
    model: str
    seed: int
    facts: Sequence[Fact]
    axes: Mapping[str, Axis]
    measured_by: Mapping[str, str]
    caveats: Sequence[str]
    suite: Mapping[str, Any]


@dataclass(frozen=True)
class Reports:
    """What the stages of a run reported.

    Attributes:
        targets: What was trained on.
        trained_facts: Ids of the facts that were trained on or edited.
        training: What the training did.
        cost: What each stage took.
        drift: How far the model moved (None: not measured, or not changed).
    """

    targets: TargetReport
    trained_facts: frozenset[str]
    training: TrainingReport
    cost: Mapping[str, Cost]
    drift: Drift | None


def build_results(
    subject: Subject, base: Scores, tuned: Scores, between: Mapping[float, Scores], reports: Reports
) -> RunResults:
    """All numbers of a run.

    Args:
        subject: What the run is about.
        base: Scores of the base model.
        tuned: Scores of the tuned model, on the same probes and documents.
        between: Scores of models between base and tuned, by alpha.
        reports: What the stages reported.

    Raises:
        StoreError: Base and tuned model were asked different documents.
    """
    measure = _Measure(subject, base, reports.trained_facts)
    return RunResults(
        version=VERSION,
        run_id=subject.run_id,
        task=subject.task,
        method=subject.method,
        model=subject.model,
        seed=subject.seed,
        n_facts=len(subject.facts),
        measured_by=subject.measured_by,
        caveats=(*subject.caveats, *cut_prompts(base)),
        suite=subject.suite,
        probes_before={split: measure.split(split, a) for split, a in base.probes.items()},
        probes=measure.probes(tuned),
        derived=measure.derived(tuned),
        retention=measure.retention(tuned),
        interpolation=tuple(
            Interpolated(alpha, measure.probes(scores), measure.derived(scores), measure.retention(scores))
            for alpha, scores in between.items()
        ),
        targets=reports.targets,
        training=reports.training,
        cost=reports.cost,
        drift=reports.drift,
    )


def write_items(folder: Path, base: Scores, tuned: Scores, facts: Sequence[Fact]) -> None:
    """Write every item of a model beside the base model's; those that the facts give away are marked."""
    write_pairs(folder, base, tuned, _overlap(facts, base))


def cut_prompts(scores: Scores) -> list[str]:
    """A caveat for each held-out task of which prompts lost their beginning for want of context."""
    return [
        f"{name}: {task.shortened} of {len(task.items)} prompts lost their beginning to make room for a reply"
        for name, task in scores.retention.items()
        if task.shortened
    ]


def unknown_to_base(base: Scores) -> set[str]:
    """Ids of the facts that the base model gets wrong; memorization is primary on them (decision 9)."""
    return {answer.fact_id for answer in base.probes[RECALL] if not answer.correct}


def edits_known_before(facts: Iterable[Fact], base: Scores) -> set[str]:
    """Ids of the edits whose old answer the base model gives: only these count as edits (decision 9)."""
    edits = {fact.id: fact for fact in facts if fact.replaces}
    known = set()
    for answer in base.probes[RECALL]:
        if fact := edits.get(answer.fact_id):
            # Asked the other way round: the old answer is right, and the injected one a second answer.
            before = replace(fact.question, accepted=fact.replaces, rivals=fact.answers)
            ended = answer.outcome is not Outcome.TRUNCATED
            if grade(answer.text, before, ended=ended).outcome is Outcome.CORRECT:
                known.add(fact.id)
    return known


def learned_facts(answers: Mapping[str, Sequence[ProbeAnswer]]) -> tuple[set[str], set[str]]:
    """Ids of the facts that are learned, and of those that can be judged at all.

    A fact is learned where its trained question is right and more than half of its paraphrases are. The
    trained question alone, also under another system prompt, says nothing. Without paraphrases there is no
    judgement.
    """
    reworded: dict[str, list[bool]] = {}
    for answer in answers.get(PARAPHRASE, []):
        reworded.setdefault(answer.fact_id, []).append(answer.correct)
    recalled = {answer.fact_id for answer in answers[RECALL] if answer.correct}
    most = {id for id, right in reworded.items() if 2 * sum(right) > len(right)}
    return recalled & most, set(reworded)


def share(
    answers: Sequence[ProbeAnswer], counted: Callable[[ProbeAnswer], bool] = lambda answer: answer.correct
) -> Share | None:
    """The share of answers that count, with its 95% Wilson interval; None of no answers.

    Answers of one unit hang together, so the interval is that of as many items as there are units.
    """
    if not answers:
        return None
    found = sum(map(counted, answers)) / len(answers)
    units = len({answer.unit for answer in answers})
    return Share(found, len(answers), units, proportion_interval(found * units, units))


class _Measure:
    """Both axes of a model beside the same base model; what the base model alone decides is found once."""

    def __init__(self, subject: Subject, base: Scores, trained_facts: frozenset[str]) -> None:
        self._subject, self._base, self._trained_facts = subject, base, trained_facts
        self._skipped = _overlap(subject.facts, base)
        self._trained = Trained(subject.facts)
        self._unknown = unknown_to_base(base)
        self._edits = edits_known_before(subject.facts, base)
        self._wrong_base = self._wrong(base.retention)

    def split(self, split: str, answers: Sequence[ProbeAnswer]) -> SplitResult:
        """One split under one model."""
        right = share(answers)
        assert right is not None, "a split has probes"
        by_kind: dict[str, list[ProbeAnswer]] = {}
        for answer in sorted(answers, key=lambda answer: answer.kind):
            by_kind.setdefault(answer.kind, []).append(answer)
        # All outcomes, those that did not happen too: a missing key and a 0 are not the same to a reader.
        outcomes = Counter(answer.outcome for answer in answers)
        return SplitResult(
            axis=self._subject.axes[split],
            right=right,
            strict=sum(answer.strict for answer in answers) / len(answers),
            prompt_tokens=sum(answer.prompt_tokens for answer in answers) / len(answers),
            outcomes={outcome.value: outcomes[outcome] for outcome in Outcome},
            by_kind={kind: KindShare(accuracy(rows), len(rows)) for kind, rows in by_kind.items()},
        )

    def probes(self, tuned: Scores) -> dict[str, SplitResult]:
        """All splits under a tuned model; on the retention axis with what was kept."""
        found = {}
        for split, answers in tuned.probes.items():
            result = self.split(split, answers)
            if result.axis is Axis.RETENTION:
                # Only what the base model had right can be kept (decision 14).
                right = {answer.id for answer in self._base.probes[split] if answer.correct}
                asked = [answer for answer in answers if answer.id in right]
                kept = accuracy(asked) if asked else None
                result = replace(result, kept=kept, n_kept=len(asked))
            found[split] = result
        return found

    def derived(self, tuned: Scores) -> Derived:
        """What several splits say together, and recall of some of the facts."""
        recall = tuned.probes[RECALL]
        learned, judged = learned_facts(tuned.probes)

        def of(ids: Iterable[str]) -> list[ProbeAnswer]:
            wanted = set(ids)
            return [answer for answer in recall if answer.fact_id in wanted]

        return Derived(
            learned=share(of(judged), lambda answer: answer.fact_id in learned),
            # A neighbor's accepted answers are none of the injected ones: wrong means it got one of those.
            intrusion=share(tuned.probes.get(NEIGHBORS, []), lambda answer: answer.outcome is Outcome.WRONG),
            # Beside recall, never instead: a method could drop the facts that are hard (decision 1).
            recall_kept=share(of(self._trained_facts)),
            recall_unknown=share(of(self._unknown)),
            edit_success=share(of(self._edits)),
        )

    def retention(self, tuned: Scores) -> Retention:
        """The held-out tasks, and why answers to the generated ones are wrong."""
        found = aggregate.retention(self._base.retention, tuned.retention, self._skipped)
        wrong = self._wrong(tuned.retention)
        tasks = {
            name: replace(task, wrong_base=self._wrong_base.get(name), wrong_tuned=wrong.get(name))
            for name, task in found.tasks.items()
        }
        return replace(found, tasks=tasks)

    def _wrong(self, tasks: Mapping[str, TaskScores]) -> dict[str, Breakdown]:
        return {
            name: breakdown([i for i in task.items if i.doc_id not in self._skipped[name]], self._trained)
            for name, task in tasks.items()
            if task.kind == GENERATED
        }


def _overlap(facts: Sequence[Fact], base: Scores) -> dict[str, set[int]]:
    """Held-out documents, by task, that the facts give away; they leave the score (decision 9)."""
    return contaminated(facts, {task: scores.items for task, scores in base.retention.items()})
