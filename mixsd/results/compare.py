"""Differences between methods at matched recall, with intervals, whatever their sign."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from mixsd.results.aggregate import Gap, Paired, effective_items, gap, paired
from mixsd.results.runs import INTERPOLATED, Run, by_label, tuned_only
from mixsd.results.stats import CLAIM_SEEDS, FEWEST, Interval, holm, smallest_detectable

RATE = 0.3
"""The mixing rate that the primary comparisons are about, fixed beforehand (decision 3)."""
RIVALS = ("sft", "opsd")
"""What MixSD is compared with (decision 7)."""
LEVEL = 0.05


@dataclass(frozen=True)
class Difference:
    """Held-out score of `first` minus that of `second`.

    Attributes:
        first: A label.
        second: Another label.
        gap: What they differ by (None: not comparable).
        seeds: Seeds that both have, at matched recall, with a held-out task that counts.
        note: What the numbers allow to say, or why they were not compared.
        task: The task whose facts were taught.
        p_adjusted: Of a primary comparison: its p by Holm, over the whole family.
    """

    first: str
    second: str
    gap: Gap | None
    seeds: int
    note: str
    task: str = ""
    p_adjusted: float | None = None

    @property
    def delta(self) -> float | None:
        """Mean difference, as a share."""
        return self.gap.mean if self.gap and self.gap.interval else None

    @property
    def interval(self) -> Interval | None:
        """95%."""
        return self.gap.interval if self.gap else None

    @property
    def p(self) -> float | None:
        """Of no difference, unadjusted."""
        return self.gap.p if self.gap else None


def differences(runs: Sequence[Run]) -> list[Difference]:
    """Pairs of labels, in alphabetical order, so that no method is the reference.

    Tuned models are compared with one another, interpolated ones too, and each with its own interpolation.
    All are exploratory: there are many, and none is adjusted for.
    """
    groups = by_label(runs)
    # A primary comparison has one reading, in its own table: two words for it could disagree.
    primary = {frozenset((d.first, d.second)) for d in _primary_of(runs) if d.gap}
    found = []
    for a, b in combinations(groups, 2):
        if _alike(a, b):
            pair = _difference(a, b, groups[a], groups[b])
            is_primary = frozenset((a, b)) in primary
            found.append(_read(pair, "a primary comparison: see there" if is_primary else ""))
    return found


def _alike(a: str, b: str) -> bool:
    return a.endswith(INTERPOLATED) == b.endswith(INTERPOLATED) or b == f"{a} {INTERPOLATED}"


def _difference(a: str, b: str, first: Sequence[Run], second: Sequence[Run]) -> Difference:
    """The numbers, without a reading."""
    ones, others = ({run.seed: run for run in runs} for runs in (first, second))
    shared = sorted(set(ones) & set(others))
    if not shared:
        return Difference(a, b, None, 0, "no seed in common")
    # A seed that misses the goal is not compared; it is never a zero (decision 2).
    matched = [seed for seed in shared if ones[seed].reached and others[seed].reached]
    if not matched:
        return Difference(a, b, None, 0, "recall goal not set or not reached by both: not compared")
    # The facts of a seed may give away so many documents that no task counts; its other seeds still do.
    seeds = [seed for seed in matched if set(ones[seed].counted) & set(others[seed].counted)]
    if not seeds:
        return Difference(a, b, None, len(matched), "no held-out task counts")
    found = gap(_tasks([(ones[seed], others[seed]) for seed in seeds]))
    if found is None or found.interval is None:
        return Difference(a, b, found, len(seeds), f"fewer than {FEWEST} shared items")
    skipped = (
        "" if seeds == matched else f"{len(matched) - len(seeds)} seeds left out: no held-out task counts"
    )
    return Difference(a, b, found, len(seeds), skipped)


def _tasks(pairs: Sequence[tuple[Run, Run]]) -> list[Paired]:
    """Scores of two methods, a seed a pair; the second is the reference.

    A task or document that counts for one run of a pair only is left out for that seed.
    """
    names = sorted({name for one, other in pairs for name in set(one.counted) & set(other.counted)})
    return [paired([_shared(one, other, name) for one, other in pairs]) for name in names]


def _shared(one: Run, other: Run, task: str) -> dict[int, tuple[float, float]]:
    if task not in one.counted or task not in other.counted:
        return {}
    first, second = one.scores(task), other.scores(task)
    return {doc_id: (second[doc_id][1], first[doc_id][1]) for doc_id in first if doc_id in second}


def _read(difference: Difference, instead: str = "") -> Difference:
    """With a reading of an exploratory comparison, from its unadjusted interval."""
    found = difference.gap
    if found is None or found.interval is None:
        return difference
    apart = not found.interval[0] <= 0 <= found.interval[1]
    word = instead or f"{'differ' if apart else 'within noise'}; exploratory, not adjusted"
    return _noted(difference, f"{word}{_descriptive(difference)}")


def _descriptive(difference: Difference) -> str:
    """Why a reading is not about the methods; '' where it is (decision 4)."""
    assert difference.gap is not None
    if difference.seeds < CLAIM_SEEDS:
        return f"; descriptive ({difference.seeds} of {CLAIM_SEEDS} seeds)"
    if difference.gap.seeds == 1 or difference.gap.p is None:
        return "; descriptive (all seeds give the same, which is no evidence)"
    return ""


def _noted(difference: Difference, word: str, p_adjusted: float | None = None) -> Difference:
    note = f"{word}; {difference.note}" if difference.note else word
    return Difference(
        difference.first,
        difference.second,
        difference.gap,
        difference.seeds,
        note,
        difference.task,
        p_adjusted,
    )


def primary_family(groups: Sequence[Sequence[Run]]) -> list[Difference]:
    """MixSD at the mixing rate fixed beforehand against each rival, for every group (decision 7).

    The family is fixed: two comparisons a group, tested or not, so what was run or came out does not change
    how many there are. What is read out of one goes by its p adjusted by Holm. Runs that trained on the facts
    which another run kept are left out (decision 1 pairs them beside this).
    """
    family = [difference for group in groups for difference in _primary_of(group)]
    # One that was not tested counts as if it had found nothing.
    adjusted = holm([1.0 if difference.p is None else difference.p for difference in family])
    return [_read_adjusted(d, p) for d, p in zip(family, adjusted, strict=True)]


def _read_adjusted(difference: Difference, p: float) -> Difference:
    if difference.gap is None or difference.gap.interval is None:
        return difference
    if difference.p is None:
        return _noted(difference, f"not tested{_descriptive(difference)}")
    among = "the methods" if not _descriptive(difference) else "these checkpoints"
    word = f"a difference between {among}" if p < LEVEL else "within noise"
    return _noted(difference, f"{word}{_descriptive(difference)}", p)


def _primary_of(group: Sequence[Run]) -> Iterator[Difference]:
    """The primary comparisons of one group, without a reading; those that cannot be made say why."""
    # Other mixing rates are exploratory: the rate was fixed beforehand.
    tuned = [r for r in tuned_only(group) if r.mixing_rate in (None, RATE) and r.teaches_all]
    labels = {method: by_label(r for r in tuned if r.method == method) for method in ("mixsd", *RIVALS)}
    for rival in RIVALS:
        ours, theirs = labels["mixsd"], labels[rival]
        why = _unclear("mixsd", ours) or _unclear(rival, theirs)
        if why:
            found = Difference("mixsd", rival, None, 0, why)
        else:
            (a, first), (b, second) = *ours.items(), *theirs.items()
            found = _difference(a, b, first, second)
        task = group[0].results.task
        yield Difference(found.first, found.second, found.gap, found.seeds, found.note, task)


def _unclear(method: str, labels: Mapping[str, Sequence[Run]]) -> str:
    """Why a method cannot be compared; choosing among several settings of it would be selection."""
    if not labels:
        return f"no run of {method}: not compared"
    return f"{len(labels)} settings of {method}: not compared" if len(labels) > 1 else ""


def detectable(runs: Sequence[Run]) -> float | None:
    """The smallest held-out difference these documents could show (20% discordance, power 0.8)."""
    # Runs of a group are asked the same documents, up to those that their facts give away.
    sizes = [len(runs[0].documents[name]) for name in runs[0].counted]
    return smallest_detectable(effective_items(sizes)) if sizes and all(sizes) else None
