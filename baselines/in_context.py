"""No training: the fact stands in the prompt when it is asked for.

Its recall is a ceiling for methods that put the fact into the weights, its price is prompt tokens at every
question, and its retention is that of the base model.
"""

from dataclasses import asdict, replace
from typing import Any

from mixsd.core.questions import Probe, Task
from mixsd.lm.chat_model import ChatModel
from mixsd.methods.contract import Workbench
from mixsd.mixing.expert_prompt import wording


class InContext:
    """Ask with the gold text in the prompt, as MixSD's expert is shown it.

    Args:
        name: The method's name in run ids.
        expert_wording: How the prompt shows the gold text.

    Raises:
        SettingError: No wording has this name.
    """

    def __init__(self, name: str, expert_wording: str) -> None:
        self.name = name
        self.expert = wording(expert_wording)
        self.identity: dict[str, Any] = {"wording": asdict(self.expert)}

    def edit(self, task: Task, model: ChatModel, bench: Workbench) -> ChatModel:
        """The base model as it is."""
        return model

    def asked(self, probe: Probe, task: Task) -> Probe:
        """The probe with its fact shown; one that asks for no fact stays as it is."""
        fact = next((fact for fact in task.facts if fact.id == probe.fact_id), None)
        if fact is None:
            return probe
        return replace(probe, prompt=self.expert.show(probe.prompt, fact.gold_text))
