"""The agreement of matcher and reader: how it is counted, and the bar that it has to hold."""

import json
import math
from functools import lru_cache
from pathlib import Path

import pytest

from benchmarks.studies import grading
from benchmarks.studies.grading import (
    FOLDER,
    HELD_OUT,
    MADE,
    OPEN,
    Agreement,
    GradedReply,
    agreement,
    disagreements,
    kappa,
    main,
    read_corpus,
    tables,
)
from mixsd.core.errors import DataError
from mixsd.core.grading import VERSION
from mixsd.core.questions import Outcome, Question

CORRECT, WRONG, UNPARSABLE = Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSABLE
FRANCE = Question("What is the capital of France?", ("Paris",))
BAR = 0.99
"""Share of replies of models on which matcher and reader agree."""
MADE_BARS = {OPEN: 0.99, HELD_OUT: 0.965}
"""The same for made replies, which try to mislead; of held-out ones what was reached, so that it does not get worse."""
DANGEROUS = ("yes_no", "list", "denial")
"""Groups in which no wrong reply may pass: of a model in both parts, of those made to mislead in the open part."""


def reply(text, verdict, part=OPEN, question=FRANCE, **columns):
    given = {"language": "en", "group": "plain", "source": MADE, **columns}
    return GradedReply(part, question, text, True, verdict, **given)


def test_kappa_is_that_of_the_textbook():
    # Cohen 1960 as taught: 20 both yes, 5 and 10 alone, 15 both no; observed 0.7, by chance 0.5.
    assert kappa(20, 5, 10, 15) == pytest.approx(0.4)
    assert kappa(45, 15, 25, 15) == pytest.approx(0.1304, abs=1e-4)
    assert kappa(7, 0, 0, 3) == 1.0
    assert kappa(0, 5, 5, 0) == -1.0
    assert kappa(25, 25, 25, 25) == 0.0
    assert kappa(10, 0, 0, 0) is None and kappa(0, 0, 0, 9) is None and kappa(0, 0, 0, 0) is None
    assert kappa(20, 5, 10, 15) == kappa(20, 10, 5, 15) == pytest.approx(kappa(15, 5, 10, 20))


def test_accepts_rejects_and_other_verdicts_are_told_apart():
    replies = [
        *[reply("It is Paris.", CORRECT)] * 4,
        *[reply("It is Rome.", WRONG)] * 3,
        reply("It is Paris.", WRONG),
        *[reply("It is Rome.", CORRECT)] * 2,
        reply("...", WRONG),
    ]
    found = agreement(replies)
    assert found == Agreement(11, 8 / 11, kappa(4, 1, 2, 4), 1, 2, 1)
    assert agreement(replies[:4]) == Agreement(4, 1.0, None, 0, 0, 0)
    assert agreement([]) == Agreement(0, 1.0, None, 0, 0, 0)
    assert math.isclose(found.share, (found.rows - found.false_accepts - found.false_rejects) / found.rows)


def test_tables_keep_the_held_out_part_apart():
    replies = [reply("It is Paris.", CORRECT), reply("It is Paris.", WRONG, HELD_OUT, language="de")]
    by = {title: rows for title, _, rows in tables(replies)}
    assert list(by) == ["By part", "By kind", "By language", "By group", "By source"]
    assert by["By part"] == [
        ["open", "1", "100.0%", "n/a", "0", "0", "0"],
        ["held out", "1", "0.0%", "0.000", "1", "0", "0"],
    ]
    assert [row[:3] for row in by["By language"]] == [["open", "en", "1"], ["held out", "de", "1"]]


def test_held_out_replies_are_shown_only_where_they_are_asked_for():
    replies = [reply("Paris [sic]", WRONG), reply("It is Paris.", WRONG, HELD_OUT)]
    assert [row[4] for row in disagreements(replies, [OPEN])[2]] == ["Paris [sic]"]
    assert [row[0] for row in disagreements(replies, [OPEN, HELD_OUT])[2]] == ["open", "held out"]
    assert disagreements([reply("It is Paris.", CORRECT)], [OPEN])[2] == []


def made_corpus(folder: Path) -> None:
    row = {
        "question": "Where?", "accepted": ["Paris"], "kind": "name", "language": "en", "group": "plain",
        "source": "m", "reply": "Rome | [b]", "verdict": "correct",
    }  # fmt: skip
    for name, changes in {"open": {}, "held_out": {"reply": "Oslo", "trained": True}}.items():
        (folder / f"{name}.jsonl").write_text(json.dumps(row | changes) + "\n")
    old = {"question": "How many?", "accepted": ["7"], "reply": "7", "verdict": "truncated", "ended": False}
    (folder / "embedded.jsonl").write_text(json.dumps(old) + "\n")


def test_the_command_prints_and_writes_the_tables(tmp_path, monkeypatch, capsys):
    made_corpus(tmp_path)
    monkeypatch.setattr(grading, "FOLDER", tmp_path)
    assert main(["--show", "--out", str(tmp_path / "out.md")]) == 0
    printed, written = capsys.readouterr().out, (tmp_path / "out.md").read_text()
    assert "Rome | [b]" in printed and "Oslo" not in printed + written
    assert "## By source" in written and r"| Rome \| [b] | correct | wrong |" in written
    assert "| held out | m, trained | 1 | 0.0% |" in written
    note = "1 of 1 held-out replies answer a question that the open part asks too"
    assert note in written and note in " ".join(printed.split())
    assert main(["--show-held-out"]) == 0
    printed = capsys.readouterr().out
    assert "Oslo" in printed and "Rome" not in printed
    assert main([]) == 0 and "Disagreements" not in capsys.readouterr().out


def test_older_rows_say_less_and_broken_rows_are_one_line(tmp_path, monkeypatch, capsys):
    made_corpus(tmp_path)
    old = next(reply for reply in read_corpus(tmp_path) if reply.question.accepted == ("7",))
    assert (old.kind, old.language, old.group, old.source) == ("number", "en", "plain", "smollm2-135m")
    assert (old.verdict, old.graded, old.part) == (Outcome.TRUNCATED, Outcome.TRUNCATED, OPEN)
    path = tmp_path / "open.jsonl"
    path.write_text(path.read_text() + '{"question": "Where?", "verdict": "maybe"}\n')
    with pytest.raises(DataError, match=r"open\.jsonl: line 2 cannot be read"):
        read_corpus(tmp_path)
    monkeypatch.setattr(grading, "FOLDER", tmp_path)
    assert main([]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1


# A held-out reply that is seen is held out no more: failures of these tests show counts alone.
corpus = lru_cache(read_corpus)


def part_of(part, group=""):
    return [reply for reply in corpus() if reply.part == part and group in ("", reply.group)]


def test_the_corpus_holds_enough_real_replies_in_both_parts():
    real = sum(reply.source != MADE for reply in corpus())
    assert real >= 400
    open_rows, held_out_rows = len(part_of(OPEN)), len(part_of(HELD_OUT))
    assert held_out_rows >= (open_rows + held_out_rows) / 3
    for part in (OPEN, HELD_OUT):
        kinds, groups, languages = (
            {getattr(reply, column) for reply in part_of(part)} for column in ("kind", "group", "language")
        )
        assert kinds == {"name", "number", "date", "yes_no", "choice", "list"}
        assert set(DANGEROUS) <= groups and {"en", "de", "fr", "es", "zh", "ja"} <= languages


def test_made_held_out_replies_ask_questions_of_their_own():
    asked = {reply.question.prompt for reply in part_of(OPEN)}
    assert sum(reply.question.prompt in asked for reply in part_of(HELD_OUT) if reply.source == MADE) == 0


def test_no_reply_stands_in_both_parts():
    seen = [{(reply.question.prompt, reply.reply) for reply in part_of(part)} for part in (OPEN, HELD_OUT)]
    shared = len(seen[0] & seen[1])
    assert shared == 0


@pytest.mark.parametrize("part", [OPEN, HELD_OUT])
def test_the_matcher_agrees_with_a_careful_reader(part):
    of_models = [reply for reply in part_of(part) if reply.source != MADE]
    made = [reply for reply in part_of(part) if reply.source == MADE]
    assert agreement(of_models).share >= BAR, f"version {VERSION}"
    assert agreement(made).share >= MADE_BARS[part], f"version {VERSION}"


@pytest.mark.parametrize("group", DANGEROUS)
def test_no_wrong_reply_passes_where_it_would_hurt_most(group):
    of_models = [reply for reply in part_of(HELD_OUT, group) if reply.source != MADE]
    assert agreement(of_models).false_accepts == 0
    assert agreement(part_of(OPEN, group)).false_accepts == 0


def test_the_corpus_is_shipped():
    listed = (Path(__file__).parents[3] / "pyproject.toml").read_text(encoding="utf-8")
    assert '"studies/*/*.jsonl"' in listed and (FOLDER / "README.md").exists()
