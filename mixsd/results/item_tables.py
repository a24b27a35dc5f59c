"""What a run answered, item by item, as tables: before and after, and what it was trained on."""

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from mixsd.core.store import read_jsonl
from mixsd.results.items import PROBES, RETENTION, read_item_pairs, read_probe_pairs


def item_tables(run_dir: Path) -> Iterator[tuple[str, pd.DataFrame]]:
    """Every answer before and after: a table a split and a held-out task; and the targets, token by token."""
    for path in sorted((run_dir / PROBES).glob("*.jsonl")):
        rows = [
            {
                "prompt": pair.before.prompt,
                "accepted": " | ".join(pair.before.answers),
                "before": pair.before.text,
                "after": pair.after.text,
                "outcome_before": pair.before.outcome.value,
                "outcome_after": pair.after.outcome.value,
            }
            for pair in read_probe_pairs(run_dir, path.stem)
        ]
        yield f"answers/{path.stem}", pd.DataFrame(rows)
    for path in sorted((run_dir / RETENTION).glob("*.jsonl")):
        rows = [
            {
                "document": pair.doc_id,
                "prompt": pair.base.prompt,
                "before": pair.base.text,
                "after": pair.tuned.text,
                "outcome_before": pair.base.outcome,
                "outcome_after": pair.tuned.outcome,
                "score_before": pair.base.score,
                "score_after": pair.tuned.score,
                "contaminated": pair.contaminated,
            }
            for pair in read_item_pairs(run_dir, path.stem)
        ]
        yield f"held_out/{path.stem}", pd.DataFrame(rows)
    examples = read_jsonl(run_dir / "examples.jsonl") if (run_dir / "examples.jsonl").exists() else []
    if examples:
        rows = [
            {
                "fact": r["fact_id"],
                "attempt": r["attempt"],
                "target": "".join(r["pieces"]),
                "provenance": r["provenance"],
            }
            for r in examples
        ]
        yield "targets", pd.DataFrame(rows)
