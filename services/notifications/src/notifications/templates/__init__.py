"""Words for each kind of event: `<event type>.txt` with a block `subject` and a block `text`.

What comes from an event is a value and never a template, and a template can reach nothing but these values.
"""

import json
import re
from functools import cache
from typing import Any

from jinja2 import PackageLoader, StrictUndefined, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from notifications.domain.message import Letter, Rendered

SYNTHETIC = "[SYNTHETIC] "
SYNTHETIC_NOTE = "SYNTHETIC DATA: made up for a demonstration or drill. It tells nothing about anybody.\n\n"

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_LONGEST_SUBJECT = 200


def render(letter: Letter) -> Rendered:
    """Subject (one line) and text of a letter. Raises jinja2.TemplateError where facts and template do not fit."""
    template = _environment().get_template(f"{letter.event_type}.txt")
    context = template.new_context(json.loads(letter.facts))
    subject = " ".join(_CONTROLS.sub("", "".join(template.blocks["subject"](context))).split())
    text = _CONTROLS.sub("", "".join(template.blocks["text"](context))).strip() + "\n"
    if len(subject) > _LONGEST_SUBJECT:
        subject = subject[: _LONGEST_SUBJECT - 1] + "…"
    return Rendered(SYNTHETIC + subject, SYNTHETIC_NOTE + text) if letter.synthetic else Rendered(subject, text)


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=PackageLoader("notifications", "templates"),
        autoescape=select_autoescape(("html",), default_for_string=True, default=False),
        undefined=StrictUndefined,
    )
    environment.filters["words"] = _words
    return environment


def _words(code: Any) -> str:
    """A code as people write it: not_met -> not met."""
    return str(code).replace("_", " ").replace("-", " ")
