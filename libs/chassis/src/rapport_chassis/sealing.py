"""Sealed text: AES-256-GCM under the key of the person it is about.

A token is bound to its subject, its owner (an event, or a document) and the field it stands in: moved anywhere else
it does not open. Destroying the subject's key is what erases the text, wherever copies of the token lie.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64decode, urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

ERASED = "erased"
"""What a sealed field reads as once its subject's key is gone."""

_VERSION = "v1."
_NONCE_BYTES = 12  # NIST SP 800-38D: 96 bits, drawn at random; a person's key seals far fewer than 2^32 texts
_TAG_BYTES = 16


class SealBroken(ValueError):
    """The token was altered, moved to another field or owner, or belongs to another key."""


def seal(key: bytes, text: str, *, subject: str, owner: str, path: str) -> str:
    """Seal `text` under a 32-byte `key`: "v1." and the base64url of nonce, ciphertext and tag.

    `owner` is the id of the event, or "collection/id" of the document, that holds the field at `path`.
    """
    nonce = os.urandom(_NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, text.encode(), _bound_to(subject, owner, path))
    return _VERSION + _encode(nonce + sealed)


def open_sealed(key: bytes, token: str, *, subject: str, owner: str, path: str) -> str:
    """The text that `seal` was given; raises `SealBroken` and nothing else."""
    try:
        raw = _decode(token)
        return AESGCM(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(subject, owner, path)).decode()
    except (InvalidTag, ValueError) as error:
        # Neither token nor text may reach a log through this message.
        raise SealBroken(f"the seal of {path!r} does not open") from error


def _bound_to(subject: str, owner: str, path: str) -> bytes:
    """The additional authenticated data; each part carries its length, so that no two triples read alike."""
    parts = [part.encode() for part in (_VERSION, subject, owner, path)]
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(token: str) -> bytes:
    if not token.startswith(_VERSION):
        raise ValueError("unknown form of seal")
    body = token.removeprefix(_VERSION)
    raw = urlsafe_b64decode(body + "=" * (-len(body) % 4))
    # The decoder overlooks foreign characters and spare bits; one text has exactly one token here.
    if len(raw) < _NONCE_BYTES + _TAG_BYTES or _encode(raw) != body:
        raise ValueError("malformed seal")
    return raw
