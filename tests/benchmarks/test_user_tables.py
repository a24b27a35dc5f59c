"""Tables as people have them: separators, encodings, headers, layouts, and what cells may hold."""

import datetime
import json
from decimal import Decimal

import pandas as pd
import pytest

from benchmarks.tasks.own_facts.rows import read_rows
from mixsd.core.errors import DataError

ROWS = [("Who founded Marlow?", "Petra"), ("How long may goods be returned?", "45 days")]


def read(path, content=None):
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    rows, notes = read_rows(path)
    return [(row.question, row.answer) for row in rows], notes


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_separators_and_encodings_of_spreadsheets(tmp_path, separator, encoding):
    lines = [("question", "answer"), *ROWS]
    text = "\r\n".join(separator.join(line) for line in lines) + "\r\n"
    assert read(tmp_path / "f.csv", text.encode(encoding)) == (ROWS, ())


def test_the_header_tells_the_separator(tmp_path):
    text = 'question;answer\n"Red, or blue?";Red, says the guide\n'
    assert read(tmp_path / "f.csv", text)[0] == [("Red, or blue?", "Red, says the guide")]
    assert read(tmp_path / "f.tsv", "question\tanswer\nWho?\tAnn; Bo\n")[0] == [("Who?", "Ann; Bo")]


def test_a_first_line_that_tells_the_separator_is_read(tmp_path):
    text = "sep=;\r\nquestion;answer\r\nWho founded Marlow?;Petra\r\n;Bo\r\n"
    with pytest.raises(DataError, match="line 4: question is empty"):
        read(tmp_path / "f.csv", text)
    assert read(tmp_path / "f.csv", text.replace(";Bo", ";"))[0] == ROWS[:1]
    assert read(tmp_path / "f.ndjson", json.dumps({"question": "A?", "answer": "x"}))[0] == [("A?", "x")]


@pytest.mark.parametrize("header", ["Question,  Answer", "QUESTION,answer ", '"question", "answer"'])
def test_capitals_and_spaces_of_a_header_do_not_matter(tmp_path, header):
    assert read(tmp_path / "f.csv", f"{header}\nWho founded Marlow?,Petra\n")[0] == ROWS[:1]


def test_columns_without_a_name_hold_nothing(tmp_path):
    assert read(tmp_path / "f.csv", "question,answer,,\nWho founded Marlow?,Petra,,\n,,,\n") == (ROWS[:1], ())
    with pytest.raises(DataError, match="line 2 has more fields than the header"):
        read(tmp_path / "f.csv", "question,answer,,\nWho?,Ann,,more\n")


def test_columns_that_are_not_used_are_named_once(tmp_path):
    rows, notes = read(tmp_path / "f.csv", "id,question,answer,tags\n1,Who founded Marlow?,Petra,a b\n")
    assert (
        rows == ROWS[:1]
        and len(notes) == 1
        and notes == ("columns of task.path that are not used: id, tags",)
    )
    for slip in ("aliasses", "paraphrase", "neighbours", "answer text"):
        with pytest.raises(DataError, match=f"unknown column {slip}; did you mean"):
            read(tmp_path / "f.csv", f"question,answer,{slip}\nWho?,Ann,x\n")


LAYOUTS = {
    "alpaca": {"instruction": "Who founded Marlow?", "input": "", "output": "Petra"},
    "completion": {"prompt": "Who founded Marlow?", "completion": "Petra"},
    "response": {"instruction": "Who founded Marlow?", "response": "Petra"},
    "sharegpt": {"conversations": [{"from": "human", "value": "Who founded Marlow?"}, {"from": "gpt", "value": "Petra"}]},
    "messages": {"messages": [{"role": "system", "content": "Be brief."},
                              {"role": "user", "content": "Who founded Marlow?"},
                              {"role": "assistant", "content": "Petra"}]},
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("kind", ["jsonl", "json", "json of lines"])
def test_other_layouts_are_read_and_told(tmp_path, layout, kind):
    record = json.dumps(LAYOUTS[layout])
    text = f"[{record}]" if kind == "json" else record + "\n"
    rows, notes = read(tmp_path / f"f.{kind.split()[0]}", text)
    assert rows == ROWS[:1] and any("read as" in note for note in notes)


def test_the_input_of_an_instruction_is_part_of_its_question(tmp_path):
    record = {"instruction": "What is the capital?", "input": "Quarne", "output": "Brindle"}
    assert read(tmp_path / "f.jsonl", json.dumps(record))[0] == [("What is the capital?\nQuarne", "Brindle")]


@pytest.mark.parametrize(
    "chat",
    [
        [{"role": "user", "content": "Who?"}],
        [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ann"}] * 2,
        "Who? Ann.",
        [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": None}],
        [{"role": "user", "content": [{"type": "image"}]}, {"role": "assistant", "content": "Ann"}],
    ],
)
def test_a_chat_of_other_turns_is_one_line(tmp_path, chat):
    with pytest.raises(DataError, match="line 1: messages (?:is no|holds a turn)"):
        read(tmp_path / "f.jsonl", json.dumps({"messages": chat}))


def test_a_turn_of_text_parts_is_read(tmp_path):
    chat = [{"role": "user", "content": [{"type": "text", "text": "Who founded Marlow?"}]},
            {"role": "assistant", "content": "Petra"}]  # fmt: skip
    assert read(tmp_path / "f.jsonl", json.dumps({"messages": chat}))[0] == ROWS[:1]


def test_a_missing_instruction_is_no_text(tmp_path):
    record = {"instruction": None, "input": "Who founded Marlow?", "output": "Petra"}
    assert read(tmp_path / "f.jsonl", json.dumps(record))[0] == ROWS[:1]


def test_one_column_twice_is_told(tmp_path):
    with pytest.raises(DataError, match="line 1 has the column question twice"):
        read(tmp_path / "f.jsonl", json.dumps({"Question": "A?", "question": "B?", "answer": "x"}))


def test_numbers_of_json_are_read_as_they_are_written(tmp_path):
    assert read(tmp_path / "f.jsonl", '{"question": "What?", "answer": 45.50}')[0] == [("What?", "45.50")]


def test_days_that_are_missing_are_empty(tmp_path):
    path = tmp_path / "f.parquet"
    frame = pd.DataFrame({"question": ["A?", "B?"], "answer": ["x", "y"]})
    frame["group"] = [pd.Timestamp(2027, 6, 12), pd.NaT]
    frame.to_parquet(path)
    assert read(path)[0] == [("A?", "x"), ("B?", "y")]


def test_a_json_file_is_a_list_of_records(tmp_path):
    records = [{"question": q, "answer": a} for q, a in ROWS]
    assert read(tmp_path / "f.json", json.dumps(records)) == (ROWS, ())
    for text, said in (("[1, 2]", "no list of JSON objects"), ("[{}", "line 1 is not JSON"), ("", "no")):
        with pytest.raises(DataError, match=said):
            read(tmp_path / "f.json", text)


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        (Decimal("45.50"), "45.50"),
        (datetime.date(2027, 6, 12), "2027-06-12"),
        (pd.Timestamp(2027, 6, 12), "2027-06-12"),
        (45, "45"),
        ("✅", "✅"),
    ],
)
def test_cells_of_parquet_are_read_as_they_are_written(tmp_path, value, answer):
    path = tmp_path / "f.parquet"
    pd.DataFrame({"question": ["What?"], "answer": [value]}).to_parquet(path)
    assert read(path)[0] == [("What?", answer)]


def test_an_answer_that_is_a_list_is_told(tmp_path):
    path = tmp_path / "f.parquet"
    pd.DataFrame({"question": ["What?"], "answer": [["a", "b"]], "aliases": [["c"]]}).to_parquet(path)
    with pytest.raises(
        DataError, match="line 1: answer is a list; put the first into answer, the others into aliases"
    ):
        read(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"question": "Who?", "answer": "A\\ud800"}', "line 1: answer holds half a character"),
        (
            b'{"question": "Who?", "answer": "A", "aliases": ["\\udfff"]}',
            "line 1: aliases holds half a character",
        ),
        (b'{"question": "Who\\u0000?", "answer": "A"}', "line 1: question holds a NUL"),
        (b'{"question": "Who?", "answer": "..."}', "line 1: answer '...' has no letter, digit or sign"),
    ],
)
def test_cells_that_nothing_could_print_are_told(tmp_path, content, said):
    with pytest.raises(DataError, match=said):
        read(tmp_path / "f.jsonl", content)


def test_a_nul_in_a_csv_is_told(tmp_path):
    with pytest.raises(DataError, match=r"NUL"):
        read(tmp_path / "f.csv", b"question,answer\nWho?,A\0nn\n")
