"""What an event is: a frozen fact with a type, an aggregate and, at most, sealed words."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_serializer

_TYPE = re.compile(r"((?P<topic>[a-z]+\.[a-z]+(-[a-z]+)*)\.[a-z]+(-[a-z]+)*)\.v(?P<version>[1-9][0-9]{0,4})")


class Sealed(BaseModel):
    """Words of or about one person, encrypted under that person's own key: `{"subject": …, "token": …}`.

    Whoever erases the subject destroys the key, and every copy of the words with it.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    subject: str = Field(min_length=1, description="Whose key sealed it; erasing this subject makes it unreadable")
    token: str = Field(min_length=1, description="Ciphertext, bound to subject, event id and field path")
    _clear: str | None = PrivateAttr(default=None)

    @classmethod
    def of(cls, subject: str, text: str) -> "Sealed":
        """Clear text on its way to be sealed: refuses to be serialised until it has been."""
        if not subject:
            raise ValueError("a sealed text needs a subject")
        made = cls.model_construct(subject=subject, token="")
        made._clear = text  # noqa: SLF001 - our own class; a field would be on the wire
        return made

    @property
    def clear(self) -> str | None:
        """The text, before it is sealed; None once it is."""
        return self._clear

    @field_serializer("token")
    def _refuse_clear_text(self, token: str) -> str:
        if not token:
            raise ValueError("not sealed yet: clear text never leaves the process")
        return token


class Event(BaseModel):
    """A fact in the past tense. Subclasses set `type`, `key` and a docstring, which becomes the description.

    Unknown fields are ignored on read, so that an older consumer understands a newer producer.
    Free text and personal data are `Sealed` and at the top level: `name: Sealed` or `name: Sealed | None`.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, hide_input_in_errors=True)

    type: ClassVar[str]
    """`<context>.<aggregate>.<past-tense>.v<N>`"""
    key: ClassVar[str]
    """Name of the field that holds the aggregate's id, which is the Kafka key."""
    topic: ClassVar[str]
    """`<context>.<aggregate>`: all events of an aggregate share a topic, and so keep their order."""
    family: ClassVar[str]
    """The type without its version."""
    version: ClassVar[int]
    """The N of the type."""
    sealed: ClassVar[tuple[str, ...]] = ()
    """Names of the fields that hold sealed text."""
    about: ClassVar[tuple[str, ...]] = ()
    """Names of the fields by which events may be counted for an operator: they tell of many, of nobody alone."""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        holding = {
            name: field.annotation for name, field in cls.model_fields.items() if _holds_sealed(field.annotation)
        }
        for name, annotation in holding.items():
            if annotation not in (Sealed, Sealed | None):
                raise TypeError(f"{cls.__name__}.{name}: sealed text belongs at the top level, where it is found")
        cls.sealed = tuple(holding)
        if "type" not in cls.__dict__:
            return  # facts that several events share
        parts = _TYPE.fullmatch(cls.type)
        if parts is None:
            raise TypeError(f"{cls.__name__}.type {cls.type!r} is not <context>.<aggregate>.<past-tense>.v<N>")
        cls.topic = parts["topic"]
        cls.family = parts[1]
        cls.version = int(parts["version"])
        if getattr(cls, "key", None) not in cls.model_fields:
            raise TypeError(f"{cls.__name__}.key must name one of its fields")
        if not cls.model_fields.keys() - set(cls.sealed) >= set(cls.about):
            raise TypeError(f"{cls.__name__}.about must name fields of its own that are not sealed")

    def aggregate_id(self) -> str:
        """Whose fact it is: CloudEvents subject, Kafka key, and what partitions and order depend on."""
        return str(getattr(self, self.key))

    def sealed_fields(self) -> Iterator[tuple[str, Sealed]]:
        """Each sealed field that has a value, as (path, value); the path is the field's name."""
        for path in self.sealed:
            value = getattr(self, path)
            if value is not None:
                yield path, value

    def with_sealed(self, sealed: Mapping[str, Sealed]) -> Self:
        """The same event with these fields replaced, by path. Raises KeyError for what is no sealed field."""
        for path in sealed:
            if path not in self.sealed:
                raise KeyError(path)
        return self.model_copy(update=dict(sealed)) if sealed else self


def _holds_sealed(annotation: Any) -> bool:
    if annotation is Sealed:
        return True
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return any(_holds_sealed(field.annotation) for field in annotation.model_fields.values())
    return any(_holds_sealed(inner) for inner in get_args(annotation))
