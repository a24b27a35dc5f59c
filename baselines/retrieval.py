"""No training: the facts are kept as texts, and those that a question calls for stand in its prompt.

The simplest answer to new knowledge. BM25 ranks the texts by the words of the question alone; it stands
before every prompt, also before those about nothing that is stored, where whatever it finds is false.
"""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import bm25s
import numpy as np

from mixsd.core.errors import SettingError, at_least, within
from mixsd.core.questions import Fact, Probe, Question
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Edited, Workbench
from mixsd.mixing.expert_prompt import wording


@dataclass(frozen=True)
class Found:
    """A text that a question calls for.

    Attributes:
        fact: The fact it is of.
        score: Its BM25 score, in words: 1 is what a word is worth that stands in this text alone.
    """

    fact: Fact
    score: float


class Store:
    """Texts of facts, ranked by BM25 (Robertson and Zaragoza 2009, as Lucene computes it).

    Args:
        facts: Whose gold texts are kept.
        k1: How soon a word that comes again counts no more.
        b: How far long texts are held to be wordy, 0 to 1.
    """

    def __init__(self, facts: Sequence[Fact], k1: float = 1.5, b: float = 0.75) -> None:
        self._facts = list(facts)
        self._index = bm25s.BM25(k1=k1, b=b, method="lucene") if facts else None
        if self._index is None:
            return
        self._index.index([words(fact.gold_text) for fact in facts], show_progress=False)
        # Of a word of one text, once in a text of average length.
        rare = np.log(1 + (len(facts) - 0.5) / 1.5)
        self._unit = float(rare) / (1 + k1)

    def __len__(self) -> int:
        return len(self._facts)

    def find(self, question: str, count: int, threshold: float) -> list[Found]:
        """The best texts for a question, best first; at equal scores the earlier fact's.

        Args:
            question: The user turn, and nothing else that is known of it.
            count: At most so many.
            threshold: With at least this score.
        """
        asked = list(dict.fromkeys(words(question)))  # a name that is repeated says no more
        if self._index is None or not asked:
            return []
        scores = self._index.get_scores(asked) / self._unit
        best = np.argsort(-scores, kind="stable")[:count]
        return [Found(self._facts[n], float(scores[n])) for n in best if scores[n] >= max(threshold, 1e-9)]


def words(text: str) -> list[str]:
    """The words of a text in lower case, numbers among them."""
    return re.findall(r"\w+", text.casefold())


class Retrieval:
    """Ask with the texts in the prompt that BM25 finds for it.

    Args:
        name: The method's name in run ids.
        k: At most so many texts.
        threshold: Only texts with at least this score, in words that stand in one text alone; see
            `python -m benchmarks.studies.retrieval` for what it lets through.
        k1: Of BM25.
        b: Of BM25.
        expert_wording: How the prompt shows the texts.

    Raises:
        SettingError: An argument is outside its range, or no wording has this name.
    """

    def __init__(
        self,
        name: str,
        k: int = 1,
        threshold: float = 1.0,
        k1: float = 1.5,
        b: float = 0.75,
        expert_wording: str = "answer",
    ) -> None:
        self.name, self.k = name, at_least("method.k", k, 1)
        self.threshold = at_least("method.threshold", threshold, 0)
        if not k1 > 0:
            raise SettingError(f"method.k1={k1} is out of range; allowed: above 0")
        self.k1, self.b = k1, within("method.b", b, 0, 1)
        self.expert = wording(expert_wording)
        self.identity: dict[str, Any] = {"wording": asdict(self.expert)}

    def longest_prompt(self, fact: Fact) -> str:
        """A user turn that holds as many texts as may be shown, each as long as this fact's."""
        return self.expert.show(fact.prompt, "\n".join([fact.gold_text] * self.k))

    def edit(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Edited:
        """The base model as it is; every prompt is put with what is found for it."""
        store = Store(facts, self.k1, self.b)

        def put(prompt: str) -> str:
            found = store.find(prompt, self.k, self.threshold)
            return (
                self.expert.show(prompt, "\n".join(one.fact.gold_text for one in found)) if found else prompt
            )

        def ask(probe: Probe) -> Question:
            question = probe.question
            shown = put(question.prompt)
            # What is shown names an answer, so what is asked stays the question alone.
            return (
                question if shown == question.prompt else replace(question, prompt=shown, asks=question.asked)
            )

        stored = sum(len(model.tokenizer(fact.gold_text)["input_ids"]) for fact in facts)
        return Edited(
            model,
            changed=False,
            ask=ask,
            put=put,
            report={"stored_texts": len(facts), "stored_tokens": stored},
        )
