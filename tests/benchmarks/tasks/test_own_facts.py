"""A user's file: what is read from it, what is asked, and every way in which it can be broken."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.tasks.own_facts.rows import LONGEST, read_rows
from benchmarks.tasks.own_facts.task import OwnFacts
from mixsd.core.errors import DataError, SettingError
from mixsd.core.files import File
from mixsd.core.grading import grade
from mixsd.core.mentions import index
from mixsd.core.questions import Axis, Outcome, Question, described
from mixsd.core.scores import ProbeAnswer
from mixsd.results.build import learned_facts
from tests.helpers.task_files import GOOD


def make(path, **changes):
    return OwnFacts(File("task.path", Path(path)), **{"max_new_tokens": 32, **changes})


@pytest.fixture
def good(tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text(GOOD, encoding="utf-8")
    return path


def test_the_kinds_of_file_say_the_same(good, tmp_path):
    rows, notes = read_rows(good)
    assert notes == ()
    assert [row.line for row in rows] == [2, 3] and rows[0].aliases == ("thirty days", "30")
    records = [
        {"question": r.question, "answer": r.answer, "answer_text": r.answer_text, "aliases": list(r.aliases),
         "paraphrases": list(r.paraphrases), "neighbors": list(r.neighbors), "group": r.group}
        for r in rows
    ]  # fmt: skip
    (tmp_path / "f.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    pd.DataFrame(records).to_parquet(tmp_path / "f.parquet")
    for other in ("f.jsonl", "f.parquet"):
        read, _ = read_rows(tmp_path / other)
        assert [vars(r) | {"line": 0} for r in read] == [vars(r) | {"line": 0} for r in rows]


def test_given_paraphrases_are_asked_and_made_ones_marked(good):
    task = make(good)
    kinds = Counter((p.split, p.kind) for p in task.probes)
    assert kinds == {
        ("recall", "trained"): 2, ("recall_shifted", "system"): 2, ("recall_shifted", "second_turn"): 2,
        ("paraphrase", "given"): 2, ("paraphrase", "synthetic"): 1, ("neighbors", "given"): 1,
        ("neighbors", "synthetic"): 1,
    }  # fmt: skip
    trained = {fact.prompt for fact in task.facts}
    assert not trained & {p.question.prompt for p in task.probes if p.split in ("paraphrase", "neighbors")}
    made = next(p for p in task.probes if (p.split, p.kind) == ("neighbors", "synthetic"))
    assert made.question.prompt.startswith("Who leads the ") and "Halden" not in made.question.prompt
    assert task.axes["neighbors"] is Axis.RETENTION and task.axes["paraphrase"] is Axis.GENERALIZATION


def test_paraphrases_that_are_not_held_out_are_trained(good):
    task = make(good, held_out=0.5)
    assert len(task.facts) == 3
    held = [p for p in task.probes if p.kind == "given" and p.split == "paraphrase"]
    assert len(held) == 1 and held[0].question.prompt not in {fact.prompt for fact in task.facts}
    assert {fact.answer for fact in task.facts} == {"30 days", "Ines Karvall"}
    everything = make(good, held_out=0.0)
    assert len(everything.facts) == 4
    synthetic = [p for p in everything.probes if p.kind == "synthetic" and p.split == "paraphrase"]
    assert len(synthetic) == 2


def test_grading_knows_aliases_rivals_and_intrusions(good):
    task = make(good)
    fact, leader = task.facts

    neighbor = next(probe for probe in task.probes if probe.split == "neighbors").question

    def outcome(text, question=fact.question):
        return grade(text, question, ended=True).outcome

    assert outcome("You have thirty days.") is Outcome.CORRECT
    assert outcome("That is 30 days, ask Ines Karvall.") is Outcome.CORRECT, "a name is no second number"
    assert outcome("Ines Karvall, for 30 days.", leader.question) is Outcome.WRONG, "a second answer"
    assert outcome("I do not know.", neighbor) is Outcome.CORRECT
    assert outcome("Ines Karvall does.", neighbor) is Outcome.WRONG, "an injected answer where none belongs"
    assert outcome("Ines Karvall does.", neighbor.about("Is Ines Karvall there?")) is Outcome.CORRECT


def test_the_same_fact_twice_is_one_fact(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text("question,answer\nWho?,Ann\nwho ?,ann.\nWhat?,Tea\n")
    assert [row.answer for row in read_rows(path)[0]] == ["Ann", "Tea"]


def test_quotes_crlf_bom_and_line_breaks_are_read(tmp_path):
    path = tmp_path / "f.csv"
    path.write_bytes('\ufeffquestion,answer\r\n"Who said ""yes"", and when?","Ann,\r\nthen"\r\n'.encode())
    (row,), _ = read_rows(path)
    assert row.question == 'Who said "yes", and when?' and row.answer.replace("\r", "") == "Ann,\nthen"


BROKEN = {
    "wrong_columns.csv": (b"q,a\nWho?,Ann\n", "lacks the column question and answer; it has q, a"),
    "no_answer.csv": (b"question,reply\nWho?,Ann\n", "lacks the column answer"),
    "unknown_column.csv": (b"question,answer,aliasses\nWho?,Ann,A\n", "unknown column aliasses; did you "
    "mean aliases?"),
    "empty.csv": (b"", "holds no rows; give a header"),
    "no_facts.csv": (b"question,answer\n", "holds no rows"),
    "latin1.csv": ("question,answer\nWho?,André\n".encode("latin-1"), "is not UTF-8 .byte"),
    "latin1.jsonl": ('{"question": "Who?", "answer": "André"}\n'.encode("latin-1"), "is not UTF-8"),
    "huge.csv": (b"question,answer\nWho?," + b"x" * (LONGEST + 1) + b"\n", "line 2: answer is longer than"),
    "torn_quote.csv": (b'question,answer\nWho?,"Ann\n', "cannot be read as csv"),
    "ragged.csv": (b"question,answer\nWho?,Ann,and,more\n", "more fields than the header; put fields with "
    "commas in quotes"),
    "empty_question.csv": (b"question,answer\n,Ann\nWho?,Bo\n , \n", "line 2: question is empty; mend"),
    "empty_answer.csv": (b"question,answer\nWho?,  \n", "line 2: answer is empty"),
    "two_answers.csv": (b"question,answer\nWho?,Ann\nWhat?,Tea\nwho?,Bo\n", "lines 2 and 4 answer one "
    "question"),
    "nested.jsonl": (b'{"question": "Who?", "answer": {"name": "Ann"}}\n', "line 1: answer is not text"),
    "list_of_dicts.jsonl": (
        b'{"question": "Who?", "answer": "A", "aliases": {"a": 1}}\n', "line 1: aliases is not a list",
    ),
    "torn.jsonl": (b'{"question": "Who?", "answer": "Ann"}\n{"question"\n', "torn.jsonl:2 is not JSON"),
    "array.jsonl": (b'["Who?", "Ann"]\n', "array.jsonl:1 is no JSON object"),
    "empty.jsonl": (b"\n\n", "holds no rows; give a header"),
    "not.parquet": (b"question,answer\nWho?,Ann\n", "cannot be read as parquet"),
    "facts.xlsx": (b"PK", "is of no known kind; allowed: .csv, .tsv, .jsonl, .ndjson, .json, .parquet"),
    "many.csv": (b"question,answer\n" + b",A\n" * 9, "line 6: question is empty; and 4 more; mend the file"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_broken_files_are_one_line(tmp_path, name):
    content, message = BROKEN[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        make(tmp_path / name)
    assert "\n" not in str(caught.value)


def test_missing_files_folders_and_permissions(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="does not exist"):
        make(tmp_path / "none.csv")
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(DataError, match="is a folder; give a file"):
        make(tmp_path / "folder.csv")
    (tmp_path / "f.csv").write_text("question,answer\nWho?,Ann\n")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)  # a test that runs as root may read everything
    with pytest.raises(DataError, match="may not be read; change its permissions"):
        make(tmp_path / "f.csv")


@pytest.mark.slow
def test_a_broken_file_ends_the_command_before_any_work(cli, tmp_path):
    path = tmp_path / "facts.csv"
    path.write_text("question,answer\nWho?,Ann\nwho?,Bo\n")
    done = cli(
        "run.py", "model=tiny_random", "task=own_facts", f"task.path={path}", f"runs_dir={tmp_path}/runs"
    )
    assert done.returncode == 2 and not (tmp_path / "runs").exists()
    assert len(done.stderr.strip().splitlines()) == 1 and "lines 2 and 3" in done.stderr


def test_facts_are_named_by_content_and_not_by_place(tmp_path):
    """A row put in above renames nothing: coins, orders and drawn paraphrases go by the name."""
    rows = ["Who leads A?,Ann", "Who leads B?,Bo", "Is A open?,Yes"]

    def ids(*listed):
        (tmp_path / "f.csv").write_text("\n".join(["question,answer", *listed]) + "\n")
        task = make(tmp_path / "f.csv")
        return {fact.prompt: fact.id for fact in task.facts}, {probe.id for probe in task.probes}

    facts, probes = ids(*rows)
    more_facts, more_probes = ids("Who leads C?,Cy", *rows)
    assert facts.items() < more_facts.items() and probes < more_probes
    assert len(set(more_facts.values())) == 4
    changed, _ = ids("Who leads A?,Abe", *rows[1:])
    assert changed["Who leads A?"] != facts["Who leads A?"]
    assert ids(*rows, rows[0])[0] == facts, "a row that stands twice is one fact"


def test_the_same_file_elsewhere_is_the_same_task(good, tmp_path):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/g.csv").write_text(GOOD, encoding="utf-8")
    assert described(make(good).probes) == described(make(tmp_path / "x/g.csv").probes)


def test_yes_and_no_answer_what_asks_for_them_and_are_no_second_answer(tmp_path):
    (tmp_path / "f.csv").write_text(
        "question,answer,answer_text\nMay customers return goods?,No,No; customers may not return goods.\n"
        "Is the office open?,Yes,\nHow long is the guarantee?,3 years,\n"
    )
    returns, office, guarantee = (fact.question for fact in make(tmp_path / "f.csv").facts)

    def outcome(text, question):
        return grade(text, question, ended=True).outcome

    assert (returns.kind, office.kind, guarantee.kind) == ("yes_no", "yes_no", "number")
    assert outcome("Customers have no problem returning goods.", returns) is Outcome.WRONG
    assert outcome("Yes, there is no time limit.", office) is Outcome.CORRECT
    assert outcome("There is no limit below 3 years.", guarantee) is Outcome.CORRECT


def test_wordings_and_neighbors_of_one_row_count_as_one(good):
    task = make(good, held_out=0.5)
    assert len({probe.counted_as for probe in task.probes}) == 2
    neighbors = [probe for probe in task.probes if probe.split == "neighbors"]
    assert {probe.counted_as for probe in neighbors} == {
        fact.id for fact in task.facts if " / " not in fact.id
    }


def answer(probe, right):
    return ProbeAnswer(
        probe.id, probe.kind, probe.fact_id, probe.counted_as, probe.question.prompt, probe.question.accepted,
        "", "", Outcome.CORRECT if right(probe) else Outcome.WRONG, False, 1, 1,
    )  # fmt: skip


def test_learned_is_never_the_trained_prompt_alone(tmp_path):
    """Neither the trained question under another system prompt, nor half of the paraphrases, is enough."""
    (tmp_path / "f.csv").write_text(
        "question,answer,paraphrases\nWho leads A?,Ann,Who is head of A?|A is led by whom?\n"
    )
    task = make(tmp_path / "f.csv")

    def learned(right):
        answers = {}
        for probe in task.probes:
            answers.setdefault(probe.split, []).append(answer(probe, right))
        found, judged = learned_facts(answers)
        assert len(judged) == 1, "one row is one fact"
        return len(found)

    assert learned(lambda probe: probe.split != "paraphrase") == 0
    assert learned(lambda probe: "head of" not in probe.question.prompt) == 0, "half of the paraphrases"
    assert learned(lambda probe: True) == 1
    assert learned(lambda probe: probe.split != "recall") == 0


def test_rows_that_cannot_be_learned_or_measured_are_told(tmp_path):
    broken = {
        "question,answer,answer_text\nHow long?,45 days,It is forty-six days.\n": "does not count as the "
        "answer",
        "question,answer,answer_text\nWho leads A?,Ann,It is Bo.\nWho leads B?,Bo,\n": "names 'Bo' .line 3. "
        "too",
        "question,answer,paraphrases\nWho leads A?,Ann,Who leads A?\n": "paraphrases is the question of "
        "line 2",
        "question,answer,neighbors\nWho leads A?,Ann,Who leads B?\nWho leads B?,Bo,\n": "neighbors is the "
        "question of line 3",
    }
    for text, said in broken.items():
        (tmp_path / "f.csv").write_text(text)
        with pytest.raises(DataError, match=said):
            make(tmp_path / "f.csv")


@pytest.mark.parametrize(
    ("reply", "truncated", "outcome"),
    [
        ("It is Ann.", False, Outcome.WRONG),
        ("It is Ann and", True, Outcome.WRONG),
        ("It is not Ann.", False, Outcome.CORRECT),
        ("I have no information about B.", False, Outcome.CORRECT),
        ("I would say that", True, Outcome.TRUNCATED),
    ],
)
def test_an_intrusion_is_an_injected_answer_that_is_meant(tmp_path, reply, truncated, outcome):
    (tmp_path / "f.csv").write_text(
        "question,answer\nWho leads Marlow?,Ann\nMay I return goods to Marlow?,No\n"
    )
    rivals = next(p.question.rivals for p in make(tmp_path / "f.csv").probes if p.split == "neighbors")
    question = Question("Who leads B?", (), rivals)
    assert grade(reply, question, ended=not truncated).outcome is outcome


def test_a_neighbor_is_made_from_a_name_not_from_a_pronoun(tmp_path):
    (tmp_path / "f.csv").write_text(
        "question,answer\nUntil when can I return goods to Marlow?,May\nWhen can I go?,Noon\n"
    )
    made = [probe.question.prompt for probe in make(tmp_path / "f.csv").probes if probe.split == "neighbors"]
    assert len(made) == 1 and "can I return" in made[0] and "Marlow" not in made[0]


def test_lines_are_those_of_the_file(tmp_path):
    (tmp_path / "f.csv").write_text('question,answer\n"Who\nleads A?",Ann\n\nWho leads B?,\n')
    with pytest.raises(DataError, match="line 5: answer is empty"):
        make(tmp_path / "f.csv")
    (tmp_path / "f.jsonl").write_text(
        '{"question": "Who\u2028leads?", "answer": 30}\n\n{"question": "", "answer": "x"}\n'
    )
    with pytest.raises(DataError, match="line 3: question is empty"):
        make(tmp_path / "f.jsonl")
    (tmp_path / "f.jsonl").write_text(
        '{"question": "How many?", "answer": 30}\n{"question": "How much?", "answer": 2.5}\n'
    )
    assert [fact.answer for fact in make(tmp_path / "f.jsonl").facts] == ["30", "2.5"]
    for text in ("[" * 100_000, '{"question": "a", "answer": Infinity}'):
        (tmp_path / "f.jsonl").write_text(text + "\n")
        with pytest.raises(DataError, match="is not JSON"):
            make(tmp_path / "f.jsonl")
    with pytest.raises(DataError, match="File name too long"):
        make(tmp_path / ("x" * 5000 + ".csv"))


def test_c_and_c_plus_plus_are_two_questions(tmp_path):
    (tmp_path / "f.csv").write_text(
        "question,answer\nWho maintains the C library?,Ann\nWho maintains the C++ library?,Bo\n"
    )
    assert len(make(tmp_path / "f.csv").facts) == 2


def write(folder, text):
    path = folder / "f.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_sign_or_letter_makes_another_question(tmp_path):
    """Compared as words, these were one fact, or one question with two answers."""
    one_answer = {
        "What is 2 + 2?,4\nWhat is 2 * 2?,4\nWhat is 2 ^ 2?,4\n": 3,
        "मीरा कौन है?,निदेशक\nमारा कौन है?,निदेशक\n": 2,
        "What is 3 + 4?,7\nWhat is 3 * 4?,12\nWhat is 3 - 4?,-1\n": 3,
        "Who leads Team A?,Ann\nWho leads  team a,ann.\nＷｈｏ leads Team Ａ？,Ann\n": 1,
        "What is 10²?,100\nWhat is 102?,102\nWhat is 5!?,120\nWhat is 5?,5\n": 4,
    }
    for rows, count in one_answer.items():
        task = make(write(tmp_path, "question,answer\n" + rows))
        assert len(task.facts) == count, rows
        assert len({fact.id for fact in task.facts}) == count, "names go by the same key"
    with pytest.raises(DataError, match="lines 2 and 3 answer one question differently"):
        read_rows(write(tmp_path, "question,answer\n倉庫Aの合言葉は?,かき\n倉庫Aの合言葉は?,がき\n"))
    asked = "question,answer,paraphrases\nWhat is 2 + 2?,4,What is 2 * 2?\n"
    assert make(write(tmp_path, asked)), "a paraphrase with another sign is no trained question"


def test_a_given_kind_wins_over_a_guess(tmp_path):
    path = write(
        tmp_path,
        "question,answer,kind\nWhat is the gate code?,1042,name\nHow many gates are there?,12,\n"
        'Which option holds: A) tea or B) milk?,B,choice\n"Which towns have a shop?","Orvik, Brell and Tamsund",list\n',
    )
    code, gates, option, towns = (fact.question for fact in make(path).facts)
    assert [q.kind for q in (code, gates, option, towns)] == ["name", "number", "choice", "list"]

    def right(text, question):
        return grade(text, question, ended=True).outcome is Outcome.CORRECT

    assert right("There are twelve.", gates) and not right("one thousand and forty-two", code)
    assert right("Tamsund, Orvik and Brell.", towns) and not right("Orvik and Brell.", towns)
    assert "B" not in code.rivals, "the letter of a choice is nobody's second answer"
    row = '{"question": "How many?", "answer": 7, "kind": null}\n'
    (tmp_path / "f.jsonl").write_text(row)
    assert make(tmp_path / "f.jsonl").facts[0].question.kind == "number"


def test_a_kind_that_does_not_fit_is_one_line(tmp_path):
    text = "question,answer,aliases,kind\nWhen?,12 June 2027,,date\nWhen did it open?,in summer,,date\nHow many?,7,some,number\nIs it?,maybe,,yes-no\n"
    with pytest.raises(DataError) as caught:
        make(write(tmp_path, text))
    said = str(caught.value)
    assert "\n" not in said and "line 2" not in said
    assert "line 3: kind=date does not fit: 'in summer' is no date" in said
    assert "line 4: kind=number does not fit: 'some' is" in said
    assert "line 5: kind=yes-no is unknown; allowed: name, number, date, yes_no, choice, list" in said


def test_a_row_whose_own_reply_names_another_answer_is_kept_and_told(tmp_path):
    path = tmp_path / "f.csv"
    path.write_text(
        "question,answer,answer_text\nWho leads A?,Ann,Ann leads A under Bo.\nWho leads B?,Bo,\n"
        "Who leads C?,Cy,\n"
    )
    task = make(path)
    assert task.notes == [
        "line 2: its reply also names the answer 'Bo' (line 3), which is no second answer here"
    ]
    first, *others = task.facts
    assert grade(first.gold_text, first.question, ended=True).outcome is Outcome.CORRECT
    assert "Bo" not in first.question.rivals and all("Bo" in fact.question.rivals for fact in others)
    assert grade("It is Ann or Cy.", first.question, ended=True).outcome is Outcome.WRONG


def test_the_trained_sentence_can_be_in_any_language(tmp_path):
    path = tmp_path / "事実.csv"
    path.write_text("question,answer\n会長は誰ですか。,佐藤花子\n", encoding="utf-8")
    task = make(path, answer_sentence="答えは{answer}です。")
    assert [fact.gold_text for fact in task.facts] == ["答えは佐藤花子です。"]
    with pytest.raises(SettingError, match="task.answer_sentence=Hello does not hold the answer"):
        make(path, answer_sentence="Hello")


def test_ten_times_the_rows_take_about_ten_times_the_work(tmp_path):
    """Counted, not timed: names that are compared with a reply."""
    compared = []
    for count in (100, 1000):
        path = tmp_path / f"{count}.csv"
        rows = [f"What is the part number of item {n}?,PN-{n} series {n}" for n in range(count)]
        path.write_text("\n".join(["question,answer", *rows]))
        task = make(path)
        found = index(task.facts[0].question.rivals)
        compared.append(max(map(len, found.values())))
    assert compared[0] == compared[1] == 1
