"""No training: the fact stands in the prompt when it is asked for.

Its recall is a ceiling for methods that put the fact into the weights, its price is prompt tokens at every
question, and its retention is that of the base model.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from mixsd.core.questions import Fact, Probe, Question
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Edited, Workbench
from mixsd.mixing.expert_prompt import wording


class InContext:
    """Ask with the gold text in the prompt, as MixSD's expert is shown it.

    Args:
        name: The method's name in run ids.
        expert_wording: How the prompt shows the gold text.

    Raises:
        SettingError: No wording has this name.
    """

    def __init__(self, name: str, expert_wording: str = "answer") -> None:
        self.name = name
        self.expert = wording(expert_wording)
        self.identity: dict[str, Any] = {"wording": asdict(self.expert)}

    def longest_prompt(self, fact: Fact) -> str:
        """The user turn that holds the gold text."""
        return self.expert.render(fact)

    def edit(self, facts: Sequence[Fact], model: ChatModel, bench: Workbench) -> Edited:
        """The base model as it is; a probe is asked with its fact shown, where that may be taught."""
        by_id = {fact.id: fact for fact in facts}

        def ask(probe: Probe) -> Question:
            fact, question = by_id.get(probe.fact_id), probe.question
            # Probes of no fact, such as locality, have nothing to show; nor has a fact that was left out.
            if fact is None:
                return question
            # What is shown names the answer, so what is asked stays the question alone.
            shown = self.expert.show(question.prompt, fact.gold_text)
            return replace(question, prompt=shown, asks=question.asked)

        return Edited(model, changed=False, ask=ask)
