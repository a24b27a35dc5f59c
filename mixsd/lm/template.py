"""A chat template as this harness renders it, and what it cannot render.

People's templates print today's date, read a turn's content as a list of parts, open a thought that nobody
closes, know no system turn, or close a reply by another token than the tokenizer's own end. Each of these
moves scores without a word, so each is found out here by rendering a made conversation.
"""

import copy
import datetime
import re
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from jinja2 import TemplateError

from mixsd.core.errors import ModelUnavailableError, SettingError, one_of

OWN, PLAIN = "own", "plain"
FORMS = (OWN, PLAIN)
DATE = "2026-01-01"
"""What templates that print a date print, unless `model.date` says otherwise: scores of two days compare."""
_ASKED = "Which Zeppelins, 417 < n < 430 & more, flew over Öland?\nWhat did Captain Quill report of it?"
_REPLIED, _TOLD, _EARLIER = "Walnut 238.", "Copper 961: Answer briefly.", "Saffron 552?"
"""The turns of a made conversation; none is part of another. The question is long, with capitals,
signs and two lines: some templates cut, strip or change what they are given."""
_CLOCK = "strftime_now"
_DAY = re.compile(rf"{_CLOCK}\s*\(\s*(['\"])([^'\"]*)\1\s*\)")
_THOUGHT = re.compile(
    r"<(\|?)((?:\w+:)?(?:think|thinking|thought|reasoning))(\|?)>(?!.*<\1/\2\3>)(.*)\Z",
    re.DOTALL | re.IGNORECASE,
)
"""A thought that is opened and not closed, with what it begins with."""
_PLAIN_FORM = (
    "{%- for m in messages %}"
    "{%- if m['role'] == 'user' %}{{ 'Question:\n' + m['content'] + '\n\n' }}"
    "{%- elif m['role'] == 'assistant' %}{{ 'Answer:\n' + m['content'] + (eos_token or '') + '\n\n' }}"
    "{%- else %}{{ m['content'] + '\n\n' }}{%- endif %}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ 'Answer:\n' }}{%- endif %}"
)
_UNRENDERED = (TemplateError, TypeError, ValueError)
"""What a template raises that cannot render a conversation."""
Turn = Mapping[str, Any]


def day_of(date: str) -> datetime.date:
    """The day of `model.date`.

    Raises:
        SettingError: It is none.
    """
    try:
        return datetime.date.fromisoformat(date)
    except ValueError as error:
        raise SettingError(f"model.date={date} is no day; give one as {DATE}") from error


class ChatTemplate:
    """Renders conversations for a model, by the chat template of its tokenizer.

    Args:
        tokenizer: The tokenizer; with `form="plain"` it gets a question-and-answer form as its template.
        options: Extra arguments of the template, such as `enable_thinking: false`.
        date: The day (YYYY-MM-DD) that it prints where it prints one.
        form: `own` or `plain`.
        name: What messages call the model.

    Raises:
        SettingError: The date is none, or the form is unknown.
        ModelUnavailableError: The tokenizer has no chat template, or one that cannot be used.
    """

    def __init__(
        self,
        tokenizer: Any,
        options: Mapping[str, Any] | None = None,
        *,
        date: str = DATE,
        form: str = OWN,
        name: str = "model",
    ) -> None:
        self.tokenizer, self.options, self.name, self.form = tokenizer, dict(options or {}), name, form
        self._in_parts: set[str] = set()
        self._put: Callable[[str], str] = str
        self._day = day_of(date)
        if one_of("model.template", form, FORMS) == PLAIN:
            tokenizer.chat_template = _begins(tokenizer) + _PLAIN_FORM
        if tokenizer.chat_template is None:
            raise ModelUnavailableError(
                f"{name} has no chat template; give model.template={PLAIN} for a plain question-and-answer "
                "form, or a chat model (an instruction-tuned one)"
            )
        self._see_that_its_day_can_be_set()
        self._see_that_it_holds_its_question()

    @property
    def rendering(self) -> dict[str, Any]:
        """How it renders, to render another model's prompts alike."""
        return {"options": self.options, "date": self._day.isoformat(), "form": self.form}

    def can_ask(self, system: str, earlier: Sequence[Any]) -> bool:
        """Whether a question with this system prompt and these earlier turns can be rendered."""
        return (not system or self.takes_system) and (not earlier or self.takes_history)

    @property
    def notes(self) -> list[str]:
        """What a reader of scores must know of how prompts are rendered, a sentence each."""
        named = self.tokenizer.eos_token_id
        shown = self.tokenizer.convert_ids_to_tokens
        own_end, tokenizers_end = (_token(shown, token) for token in (self.end_id, named))
        found = {
            "prompts are a plain question-and-answer form (model.template=plain); a base model's replies "
            "seldom end by themselves": self.form == PLAIN,
            "the chat template opens a thought before every reply; prompts close it, before and after "
            "alike, so replies are answers without thoughts": bool(self.closes_thought),
            "replies may begin with a thought, which is not graded; to switch it off: "
            "+model.template_options.enable_thinking=false": self.may_think and not self.closes_thought,
            f"replies end with {own_end}, with which the chat template closes a turn, not with the "
            f"tokenizer's {tokenizers_end}": None not in (self.end_id, named) and self.end_id != named,
            f"the chat template closes a reply by no token of its own; the tokenizer's {tokenizers_end} "
            "does": self.end_id is None,
            f"prompts say that it is {self._day} (model.date)": self.prints_date,
            "the chat template takes no system turn; what is asked under another system prompt is left out, "
            "and held-out tasks are asked without theirs": not self.takes_system,
            "the chat template leaves earlier turns out; what is asked in a second turn is left "
            "out": not self.takes_history,
        }
        return [note for note, holds in found.items() if holds]

    def ids(self, turns: Sequence[Turn], *, reply_follows: bool) -> tuple[int, ...]:
        """Token ids of a conversation.

        Args:
            turns: Messages with `role` and `content`, the content as text.
            reply_follows: Whether the model is to reply next; a thought that is opened is then closed.
        """
        # Of the text as a whole, as lm-eval's tasks are encoded: a closed thought may share a token with what
        # stands before it.
        return self._encoded(self.text(turns, reply_follows=reply_follows))

    def putting(self, put: Callable[[str], str]) -> "ChatTemplate":
        """The same template that puts the last user turn before a reply in another way."""
        other = copy.copy(self)
        other._put = put
        return other

    def text(self, turns: Sequence[Turn], *, reply_follows: bool) -> str:
        """The same as text."""
        if reply_follows:
            *earlier, last = turns
            turns = [*earlier, {**last, "content": self._put(last["content"])}]
        closing = self.closes_thought if reply_follows else ""
        return self._rendered(turns, reply_follows) + closing

    @cached_property
    def closes_thought(self) -> str:
        """What closes the thought that the template opens for every reply; '' where it opens none.

        Targets are answers: trained inside an open thought, they would be read as thoughts.
        """
        opened = _THOUGHT.search(self._rendered([_user(_ASKED)], True).rpartition(_ASKED)[2])
        if not opened:
            return ""
        before, tag, behind, begun = opened.groups()
        return ("\n" if begun.endswith("\n") else "\n\n") + f"<{before}/{tag}{behind}>\n\n"

    @cached_property
    def end_id(self) -> int | None:
        """The token that the template puts behind a reply; None where it puts none there."""
        turns = [_user(_ASKED), {"role": "assistant", "content": _REPLIED}]
        try:
            _, found, tail = self.text(turns, reply_follows=False).rpartition(_REPLIED)
        except _UNRENDERED:  # it wants a turn of the user last
            return None
        if not found:
            return None
        special = {*self.tokenizer.all_special_ids, *getattr(self.tokenizer, "added_tokens_decoder", {})}
        return next((token for token in self._encoded(tail) if token in special), None)

    @cached_property
    def takes_system(self) -> bool:
        """Whether a system turn is rendered, and not refused or left out."""
        return self._holds([{"role": "system", "content": _TOLD}, _user(_ASKED)], _TOLD, _ASKED)

    @cached_property
    def takes_history(self) -> bool:
        """Whether earlier turns are rendered."""
        earlier = [_user(_EARLIER), {"role": "assistant", "content": _REPLIED}]
        return self._holds([*earlier, _user(_ASKED)], _EARLIER, _REPLIED, _ASKED)

    @property
    def prints_date(self) -> bool:
        """Whether prompts may hold the day."""
        return _CLOCK in str(self.tokenizer.chat_template)

    @cached_property
    def may_think(self) -> bool:
        """Whether the template has a switch for thoughts that nothing sets; replies then begin with one."""
        return (
            "enable_thinking" in str(self.tokenizer.chat_template) and "enable_thinking" not in self.options
        )

    def _rendered(self, turns: Sequence[Turn], reply_follows: bool) -> str:
        given = [_with_parts(turn) if turn["role"] in self._in_parts else turn for turn in turns]
        how = {"chat_template": self._with_the_day()} if self.prints_date else {}
        return str(
            self.tokenizer.apply_chat_template(
                given, tokenize=False, add_generation_prompt=reply_follows, **how, **self.options
            )
        )

    def _with_the_day(self) -> str:
        """The template with the day written into it: transformers hands it a clock of its own."""
        return _DAY.sub(lambda found: repr(self._day.strftime(found[2])), self.tokenizer.get_chat_template())

    def _see_that_its_day_can_be_set(self) -> None:
        if self.prints_date and re.search(rf"{_CLOCK}\s*\(", self._with_the_day()):
            raise ModelUnavailableError(
                f"the chat template of {self.name} prints today's date in a way that cannot be set; write "
                f"its format as text ({_CLOCK}('%d %b %Y')), or give model.template={PLAIN}"
            )

    def _holds(self, turns: Sequence[Turn], *said: str) -> bool:
        try:
            found = self.text(turns, reply_follows=True)
        except _UNRENDERED:
            return False
        # A list of parts may be printed as it is.
        return all(text in found for text in said) and "[{'type'" not in found

    def _see_that_it_holds_its_question(self) -> None:
        """Find out for each role how the template wants its content: as text, or as a list of parts."""
        user, reply = _user(_ASKED), {"role": "assistant", "content": _REPLIED}
        for role, said, turns in (
            ("user", _ASKED, [user]),
            ("assistant", _REPLIED, [user, reply, user]),
            ("system", _TOLD, [{"role": "system", "content": _TOLD}, user]),
        ):
            if not self._holds(turns, said):
                self._in_parts.add(role)
                if not self._holds(turns, said):
                    self._in_parts.discard(role)
        if self._holds([user], _ASKED):
            return
        try:
            self.text([user], reply_follows=True)
            what = "leaves the question out of its prompt, or changes it"
        except _UNRENDERED as error:
            what = f"cannot be rendered ({' '.join(str(error).split())[:120]})"
        raise ModelUnavailableError(
            f"the chat template of {self.name} {what}; mend it (chat_template.jinja or "
            f"tokenizer_config.json), or give model.template={PLAIN}"
        )

    def _encoded(self, text: str) -> tuple[int, ...]:
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()


def _token(shown: Any, token: int | None) -> str:
    return "" if token is None else str(shown(token))


def _user(text: str) -> Turn:
    return {"role": "user", "content": text}


def _with_parts(turn: Turn) -> Turn:
    return {**turn, "content": [{"type": "text", "text": turn["content"]}]}


def _begins(tokenizer: Any) -> str:
    """What the tokenizer itself would put before a text, such as <s>."""
    first = tokenizer("a")["input_ids"][:1]
    return "{{ bos_token }}" if first and first[0] == tokenizer.bos_token_id else ""
