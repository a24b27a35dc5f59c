"""In which order the parts of base scores are measured, where other runs measure some of them."""

from filelock import FileLock

from mixsd.core.store import lock_of
from mixsd.run.config import read_config
from mixsd.run.measure import Scorer
from mixsd.run.workbench import Bench


def test_what_another_run_is_at_comes_last_and_is_read_from_the_cache(composed, tmp_path, monkeypatch):
    config = read_config(composed("model=tiny_random", "task.facts=4", "retention=none", "tracking=none"))
    bench = Bench(tmp_path, {})
    scorer = Scorer(config, bench)
    splits = list(scorer._split_keys)
    records = bench.file("base_probes", scorer._split_keys[splits[0]], ".jsonl")
    records.parent.mkdir(parents=True)
    first = FileLock(lock_of(records))
    first.acquire()
    opened = []

    def ask(reader, probes, how, on_done):
        opened.append(probes[0].split)
        if len(opened) == len(splits) - 1:
            first.release()
        return []

    monkeypatch.setattr(scorer, "reader", lambda model: model)
    monkeypatch.setattr(scorer, "_ask", ask)
    scores = scorer.base(lambda: None)
    assert opened == [*splits[1:], splits[0]] and list(scores.probes) == splits
    opened.clear()
    assert list(Scorer(config, bench).base(lambda: None).probes) == splits and not opened
