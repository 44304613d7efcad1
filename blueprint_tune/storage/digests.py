"""Digests of what is written, so that one flipped bit, or a cut, is found out when it is read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_HEX = 64
"""Length of a SHA-256 in hexadecimal digits."""
_END, _END_SIZE = b"PK\x05\x06", 22
"""The record that ends a zip archive: how it begins, and its size without a comment."""


def sha256(content: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(content).hexdigest()


def seal_zip(content: bytes) -> bytes:
    """A zip archive that has no comment, with the digest of everything before it as its comment.

    It stays a zip archive, which torch and unzip read as before.
    """
    assert is_plain_zip(content), "not a zip archive, or one with a comment"
    sealed = content[:-2] + _HEX.to_bytes(2, "little")
    return sealed + sha256(sealed).encode()


def is_sealed(content: bytes) -> bool:
    """Whether ``content`` is, byte for byte, what :func:`seal_zip` returned."""
    return len(content) > _HEX and content[-_HEX:] == sha256(content[:-_HEX]).encode()


def is_plain_zip(content: bytes) -> bool:
    """Whether ``content`` ends as a zip archive without a comment does."""
    return content[-_END_SIZE:].startswith(_END) and content[-2:] == b"\0\0"


def sealed_json(document: Mapping[str, Any]) -> str:
    """``document`` as JSON text, the digest of all its values as its last one, ``sha256``."""
    rest = {key: value for key, value in document.items() if key != "sha256"}
    digest = sha256(json.dumps(rest).encode())
    return json.dumps({**rest, "sha256": digest}, indent=2) + "\n"


def unsealed_json(text: str) -> dict[str, Any] | None:
    """The document of :func:`sealed_json`, without the digest; None if one character is not as it was."""
    try:
        document = json.loads(text)
    except ValueError:
        return None
    if not isinstance(document, dict) or sealed_json(document) != text:
        return None
    del document["sha256"]
    return document
