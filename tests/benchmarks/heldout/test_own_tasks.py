"""Held-out tasks and prompts of a user, and what they are identified by."""

import pytest

from benchmarks.heldout import lm_eval_scores, lm_eval_tasks
from mixsd.core.errors import DataError, MixSDError, SettingError
from tests.helpers.suites import suite

DOCUMENTS = """
import datasets

def d(**_):
    rows = [{"prompt": f"What is {n} plus 1?", "answers": [str(n + 1)]} for n in range(20)]
    return {"test": datasets.Dataset.from_list(rows)}

def grade(doc, results):
    return {"acc": float(doc["answers"][0] in results[0])}
"""


WITH_SHOTS = """
import datasets

def d(**_):
    rows = [{"prompt": f"What is {n} plus 1?", "answers": [str(n + 1)]} for n in range(20)]
    shots = [{"prompt": f"SHOT: {n} plus 1?", "answers": [str(n + 1)]} for n in range(50, 90)]
    return {"test": datasets.Dataset.from_list(rows), "shots": datasets.Dataset.from_list(shots)}

def grade(doc, results):
    return {"acc": float(doc["answers"][0] in results[0])}
"""


TASK = """
task: my_sums
custom_dataset: !function d.d
output_type: generate_until
test_split: test
doc_to_text: "{{prompt}}"
doc_to_target: "{{answers[0]}}"
process_results: !function d.grade
generation_kwargs: {until: [], do_sample: false, max_gen_toks: 8}
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""


REPEATED = (
    TASK.replace("my_sums", "my_draws")
    .replace(
        "generation_kwargs: {until: [], do_sample: false,",
        "repeats: 3\nfilter_list: [{name: all, filter: [{function: take_first_k, k: 3}]}]\ngeneration_kwargs: {until: [], do_sample: true,",
    )
    .replace("!function d.grade", "!function d.grade_all")
)


def fingerprint_anew(folder, *names):
    for cached in (lm_eval_tasks.load_tasks, lm_eval_tasks._digest_once, lm_eval_tasks._manager):
        cached.cache_clear()
    return suite(tasks=list(names), include=folder).fingerprint()


def test_templates_of_any_name_and_few_shot_examples_are_in_the_fingerprint(folder):
    """lm-eval keeps what tasks share in a file without an ending."""
    (folder / "sums.yaml").write_text("include: _common\n" + TASK.replace('doc_to_text: "{{prompt}}"', ""))
    (folder / "_common").write_text('doc_to_text: "{{prompt}}"\n')
    seen = [fingerprint_anew(folder, "my_sums")]
    assert fingerprint_anew(folder, "my_sums") == seen[0], "the same twice"
    (folder / "_common").write_text('doc_to_text: "Now: {{prompt}}"\n')
    seen.append(fingerprint_anew(folder, "my_sums"))
    shots = "doc_to_text: '{{prompt}}'\nnum_fewshot: 2\nfewshot_split: shots\n"
    (folder / "_common").write_text(shots)
    for word in ("one", "two"):
        (folder / "d.py").write_text(WITH_SHOTS.replace("SHOT", word))
        seen.append(fingerprint_anew(folder, "my_sums"))
    assert len({repr(print["tasks"]) for print in seen}) == 4, "by what is asked, not by the files alone"
    (folder / "notes.md").write_text("notes")
    (folder / ".git").mkdir()
    (folder / ".git" / "index").write_text("notes")
    assert fingerprint_anew(folder, "my_sums") == seen[-1]


def test_base_and_tuned_model_are_shown_the_same_examples(tiny, folder):
    """lm-eval draws few-shot examples from one stream a task; each evaluation begins it again."""
    (folder / "d.py").write_text(WITH_SHOTS)
    (folder / "sums.yaml").write_text(TASK + "num_fewshot: 2\nfewshot_split: shots\n")
    for cached in (lm_eval_tasks.load_tasks, lm_eval_tasks._manager):
        cached.cache_clear()
    own = suite(tasks=["my_sums"], include=folder, validation_limit=0)
    first = own.evaluate(tiny, ["my_sums"], 4, lambda _: None)["my_sums"]
    own.fingerprint()
    assert own.evaluate(tiny, ["my_sums"], 4, lambda _: None)["my_sums"] == first
    prompts = [item.prompt for item in first.items]
    assert all(prompt.count("SHOT") == 2 for prompt in prompts) and len(set(prompts)) == 4
    assert [item.question for item in first.items] == [f"What is {n} plus 1?" for n in range(4)]


def test_of_a_filtered_answer_the_whole_reply_is_kept(tiny, folder, monkeypatch):
    """What a filter reads is graded; what was said is what leaks and what breaks the format."""
    (folder / "sums.yaml").write_text(
        TASK.replace("!function d.grade", "!function d.exact")
        + 'filter_list: [{name: number, filter: [{function: regex, regex_pattern: "(\\\\d+)"}, {function: take_first}]}]\n'
    )
    (folder / "d.py").write_text(
        DOCUMENTS + "def exact(doc, results):\n    return {'acc': float(doc['answers'][0] == results[0])}\n"
    )
    replies = ["It is 1, said Lunbelfey.", "Lunbelfey knows.", "3", "It is 99."]
    made = [lm_eval_scores.Completion(text, 3, False) for text in replies]
    monkeypatch.setattr(lm_eval_scores, "generate", lambda *_, **__: made)
    own = suite(tasks=["my_sums"], include=folder, validation_limit=0)
    items = own.evaluate(tiny, ["my_sums"], 4, lambda _: None)["my_sums"].items
    assert [item.text for item in items] == replies
    assert [item.extracted for item in items] == ["1", "", None, "99"]
    assert [item.outcome for item in items] == ["correct", "unparsable", "correct", "wrong"]


def test_a_task_without_a_score_per_item_is_refused(tmp_path):
    (tmp_path / "t.yaml").write_text(
        "task: my_text\ncustom_dataset: !function d.d\noutput_type: loglikelihood_rolling\n"
        "test_split: test\ndoc_to_text: ''\ndoc_to_target: '{{prompt}}'\nmetric_list: [{metric: word_perplexity}]\n"
    )
    (tmp_path / "d.py").write_text(DOCUMENTS)
    with pytest.raises(SettingError, match="no score per item"):
        suite(tasks=["my_text"], include=tmp_path).fingerprint()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "sums.yaml").write_text(TASK)
    (tmp_path / "d.py").write_text(DOCUMENTS)
    return tmp_path


def test_a_folder_of_own_tasks(tiny, folder):
    own = suite(tasks=["my_sums"], include=folder)
    scores = own.evaluate(tiny, ["my_sums"], 4, lambda _: None)["my_sums"]
    assert scores.kind == "generated" and len(scores.items) == 4 and "plus 1" in scores.items[0].prompt
    with pytest.raises(DataError, match=r"retention.include=.* is a file; give a folder"):
        suite(include=str(folder / "sums.yaml"))


def test_validation_documents_set_aside_are_not_asked_in_the_test(tiny, folder):
    own = suite(tasks=["my_sums"], include=folder, limit=None, validation_limit=3)
    tested = own.evaluate(tiny, ["my_sums"], 8, lambda _: None)["my_sums"].items
    tasks, documents = own._validation
    aside = {tasks["my_sums"].eval_docs[i]["prompt"] for i in documents["my_sums"]}
    assert len(aside) == 3 and len(tested) == 17 and not aside & {item.prompt for item in tested}
    assert [item.doc_id for item in tested] == [i for i in range(20) if i not in documents["my_sums"]]
    for item in tested:
        assert item.question == f"What is {item.doc_id} plus 1?", "ids are those of the documents asked"
        assert item.outcome == "truncated"
    assert own.validate(tiny, 8) is not None
    many = suite(tasks=["my_sums"], include=folder, validation_limit=100)
    assert len(many._validation[1]["my_sums"]) == 4, "at most a fifth"


def test_own_prompts(tiny, tmp_path):
    file = tmp_path / "my.csv"
    file.write_text(
        "prompt,expected\nWhat is the capital of France?,Paris\nWho wrote Hamlet?,Shakespeare|William Shakespeare\n"
    )
    own = suite(tasks=["pocket_grammar"], prompts=file, max_new_tokens=4)
    assert own.tasks == ["pocket_grammar", "prompts"]
    items = own.evaluate(tiny, own.tasks, 4, lambda _: None)["prompts"].items
    assert [item.answers for item in items] == [("Paris",), ("Shakespeare", "William Shakespeare")]
    before = own.fingerprint()
    file.write_text("prompt,expected\nWhat is the capital of France?,Lyon\n")
    lm_eval_tasks.load_tasks.cache_clear()
    assert suite(tasks=["pocket_grammar"], prompts=file, max_new_tokens=4).fingerprint() != before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "holds no rows"),
        ("question,answer\na,b\n", "lacks the column prompt and expected"),
        ("prompt,expected,expectd\na,b,c\n", "unknown column expectd; did you mean expected"),
        ("prompt,expected\na,\n", "line 2 lacks prompt or expected"),
        ("prompt,expected\n ,b\n", "line 2 lacks prompt or expected"),
        ("prompt,expected\n", "holds no rows"),
    ],
)
def test_broken_prompt_files_are_one_line(tmp_path, text, said):
    file = tmp_path / "my.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=said) as caught:
        suite(prompts=file)
    assert "\n" not in str(caught.value)


def test_every_sample_of_a_repeated_task_counts(tiny, folder, monkeypatch):
    """A score is the mean over the samples, with those cut off counted as wrong."""
    (folder / "draws.yaml").write_text(REPEATED.replace("aggregation: mean", "aggregation: !function d.mean"))
    (folder / "d.py").write_text(
        DOCUMENTS
        + """
def grade_all(doc, results):
    return {"acc": [float(text.startswith("right")) for text in results[0]]}

def mean(values):
    return values[0][0]
"""
    )
    replies = [
        lm_eval_scores.Completion(text, 3, cut)
        for text, cut in [("right", False), ("wrong", False), ("right but cut", True)]
    ]
    asked = []

    def pretend(student, prompts, **options):
        asked.append(options["sampling"].temperature)
        return [replies[n % 3] for n in range(len(prompts))]

    monkeypatch.setattr(lm_eval_scores, "generate", pretend)
    own = suite(tasks=["my_draws"], include=folder, limit=2)
    items = own.evaluate(tiny, ["my_draws"], 4, lambda _: None)["my_draws"].items
    assert [item.score for item in items] == [pytest.approx(1 / 3)] * 2
    greedy = suite(tasks=["my_draws"], include=folder, limit=2, temperature=0)
    items = greedy.evaluate(tiny, ["my_draws"], 4, lambda _: None)["my_draws"].items
    assert [item.score for item in items] == [1, 0], "one greedy reply stands for all three"
    assert asked == [1.0, 0.0]


def test_a_relative_folder_of_tasks_works_beside_a_data_root(folder, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(folder.parent)
    own = suite(tasks=["my_sums"], include=folder.name, data_root=str(tmp_path_factory.mktemp("root")))
    assert own.size(["my_sums"]) == 4


@pytest.mark.slow  # indexes all tasks of lm-eval
def test_a_group_of_the_users_own_may_name_lm_evals_tasks(folder):
    (folder / "group.yaml").write_text("group: my_group\ntask: [my_sums, arc_easy, {task: piqa}]\n")
    (folder / "changes.yaml").write_text("group: changing\ntask: [{task: piqa, num_fewshot: 3}]\n")
    assert suite(tasks=["my_group"], include=folder).tasks == ["my_sums", "arc_easy", "piqa"]
    with pytest.raises(SettingError, match="changes its tasks in place; name the tasks instead: piqa"):
        suite(tasks=["changing"], include=folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("!function d.d", "!function d.nothing"), "cannot be loaded"),
        (("test_split: test", "test_split: tset"), "cannot be loaded"),
        (("custom_dataset: !function d.d", "dataset_path: no/such_data"), "data not found at the hub"),
        (("aggregation: mean", "aggregation: median"), "no score per item"),
        (("output_type: generate_until", "output_type: genrate"), "cannot be loaded"),
        # What is in no file that can be read is looked for among all tasks of lm-eval.
        pytest.param(("metadata:", "metadata: {{"), "sums.yaml is no YAML", marks=pytest.mark.slow),
        pytest.param(
            ("task: my_sums", "include: _nowhere\ntask: my_sums"),
            "sums.yaml includes _nowhere, which is not there",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            ("task: my_sums", "include: [d.py, _nowhere]\ntask: my_sums"),
            "sums.yaml includes _nowhere, which is not there",
            marks=pytest.mark.slow,
        ),
        pytest.param((TASK, "[my_sums]"), "sums.yaml holds no task", marks=pytest.mark.slow),
        pytest.param(
            ("task: my_sums", "task: another\ndescription: " + 300 * "long "),
            "my_sums is no task or group",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_broken_task_is_one_line(folder, change, said):
    (folder / "sums.yaml").write_text(TASK.replace(*change))
    with pytest.raises(MixSDError, match=said) as caught:
        suite(tasks=["my_sums"], include=folder).fingerprint()
    assert "\n" not in str(caught.value)
