import json
from dataclasses import replace

import pytest

from mixsd.core.errors import DataError
from mixsd.core.files import File
from mixsd.mixing.target_files import read_targets
from mixsd.run.preparation import read_examples, write_examples
from tests.helpers.fakes import FakeTask, MemoryBench
from tests.helpers.mixing import mixsd

TASK = FakeTask(4)
OWN = (
    b'{"fact_id": "f", "prompt_ids": [1], "target_ids": %s, "text": "%s", "provenance": "g", "attempt": 0}\n'
)


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return File("method.targets", path)


def chat(fact, reply):
    return {"messages": [{"role": "user", "content": fact.prompt}, {"role": "assistant", "content": reply}]}


def test_our_own_examples_round_trip_by_token_id(tiny, tmp_path):
    made = mixsd(on_failure="keep_last").prepare(TASK.facts, tiny, MemoryBench())
    write_examples(tmp_path / "examples.jsonl", made.examples, tiny)
    assert read_examples(tmp_path / "examples.jsonl") == made.examples
    listed = File("method.targets", tmp_path / "examples.jsonl")
    again = mixsd(targets=listed).prepare(TASK.facts, tiny, MemoryBench())
    assert again.examples == made.examples and again.dropped == {}


def test_chat_messages_are_matched_by_prompt_and_tokenised(tiny, tmp_path):
    facts = TASK.facts
    stranger = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Me."}]}
    path = write(tmp_path / "t.jsonl", chat(facts[2], "It is A2."), chat(facts[0], "A0\nyes"), stranger)
    made = read_targets(path, TASK.facts, tiny)
    assert [e.fact_id for e in made.examples] == ["f0", "f2", "row 3"]
    assert made.examples[1].target_ids == tiny.target_ids("It is A2.")
    assert made.examples[1].prompt_ids == tiny.prompt_ids(facts[2].prompt)
    assert set(made.dropped) == {"f1", "f3"}
    assert made.report == {"rows": 3, "rows_of_no_fact": 1, "rows_that_do_not_round_trip": 0.0}


def test_rows_that_change_by_tokenising_are_counted(smollm, tmp_path):
    facts = TASK.facts
    path = write(tmp_path / "t.jsonl", chat(facts[0], "fine"), chat(facts[1], "<|im_end|>not fine"))
    assert read_targets(path, TASK.facts, smollm).report["rows_that_do_not_round_trip"] == 0.5


def test_line_separators_in_a_reply_are_no_lines(tiny, tmp_path):
    path = write(tmp_path / "t.jsonl", chat(TASK.facts[0], "one\u2028two"))
    (tmp_path / "t.jsonl").write_text((tmp_path / "t.jsonl").read_text().replace("\\u2028", "\u2028"))
    assert read_targets(path, TASK.facts, tiny).examples[0].text == "one\u2028two"


def test_two_targets_for_one_fact_are_refused(tiny, tmp_path):
    path = write(tmp_path / "t.jsonl", chat(TASK.facts[0], "A0"), chat(TASK.facts[0], "A1"))
    with pytest.raises(DataError, match="t.jsonl:2 is a second target of f0"):
        read_targets(path, TASK.facts, tiny)


def test_a_broken_file_is_told_where_the_method_is_built(tmp_path):
    path = write(tmp_path / "t.jsonl", chat(TASK.facts[0], "A0"), {"messages": [1]})
    with pytest.raises(DataError, match="t.jsonl:2 needs one user and one assistant message"):
        mixsd(targets=path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{not json}\n", r"t.jsonl:1 is not JSON"),
        (b'{"messages": []}\n', r"t.jsonl:1 needs one user and one assistant"),
        (b'{"messages": 3}\n', r"t.jsonl:1 needs one user and one assistant"),
        (
            b'\n{"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": null}]}\n',
            r"t.jsonl:2 needs one user and one assistant",
        ),
        (
            b'{"messages": [{"role": "assistant", "content": "x"}, {"role": "user", "content": "y"}]}\n',
            r"t.jsonl:1 needs one user and one assistant",
        ),
        (
            OWN % (b"[999999]", b""),
            r"t.jsonl:1 holds no token ids of this model",
        ),
        (
            OWN % (b"[5]", b"no"),
            r"t.jsonl:1: its ids do not spell its text",
        ),
        (b'{"text": "x"}\n', r"t.jsonl:1 holds neither"),
        (b"[1, 2]\n", r"t.jsonl:1 holds neither"),
        (b'{"target_ids": [1]}\n', r"t.jsonl:1 is no example of ours"),
        (b"\xff\xfe\n", r"not UTF-8"),
    ],
)
def test_broken_files_are_one_line(tiny, tmp_path, content, message):
    path = tmp_path / "t.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_targets(File("method.targets", path), TASK.facts, tiny)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused_before_a_model_is_loaded(tmp_path):
    path = write(tmp_path / "t.jsonl", chat(TASK.facts[0], "A0"))
    path.path.unlink()
    with pytest.raises(DataError, match="method.targets=.* cannot be read"):
        mixsd(targets=path)


def test_own_examples_for_another_prompt_are_refused(tiny, tmp_path):
    """Another answer format or system prompt: what is trained would not be what probes ask."""
    made = mixsd(on_failure="keep_last").prepare(TASK.facts, tiny, MemoryBench())
    other = replace(made.examples[1], prompt_ids=tiny.prompt_ids(TASK.facts[1].prompt, system="Be brief."))
    write_examples(tmp_path / "e.jsonl", [made.examples[0], other], tiny)
    with pytest.raises(DataError, match="e.jsonl:2: the prompt of f1 is not the one of this run") as caught:
        read_targets(File("method.targets", tmp_path / "e.jsonl"), TASK.facts, tiny)
    assert "\n" not in str(caught.value)


def test_a_byte_order_mark_is_no_part_of_the_text(tiny, tmp_path):
    path = write(tmp_path / "t.jsonl", chat(TASK.facts[0], "A0"))
    path.path.write_bytes(b"\xef\xbb\xbf" + path.path.read_bytes())
    assert read_targets(path, TASK.facts, tiny).examples[0].text == "A0"
