"""Which kinds of event people can be told of, and the template each is written with."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Template:
    """A text for one kind of event; its version goes up with every change of its words."""

    name: str
    version: int


TEMPLATES: Mapping[str, Template] = {
    "measures.measure.verdict-changed": Template("verdict-changed", 1),
    "engagement.exercise.reply-published": Template("reply-published", 1),
    "engagement.exercise.promise-broken": Template("promise-broken", 1),
    "engagement.contact.logged": Template("contact-logged", 1),
}
"""By event type without its version; the words are in `templates/<event type>.txt`."""
