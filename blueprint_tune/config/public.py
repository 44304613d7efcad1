"""Settings as others may read them: whatever may be a secret, or an address that is one, is hidden.

A report, a tracker and published files go to readers who must not have the keys that a run was given. The
experiment's own folder keeps them, since a resume needs them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from blueprint_tune.config.flat import flat

HIDDEN = "(hidden)"
_SECRET = re.compile(
    r"env_vars|secret|token|passw|credential|api_?key|private_?key|signature|account_?key", re.IGNORECASE
)
_SIGNED = re.compile(r"://[^/\s]*@|[?&](?:sig|signature|x-amz-\w+|x-goog-\w+|token|key)=", re.IGNORECASE)
_WORD = re.compile(r"([+~]*[\w.@/-]+=)(.+)", re.DOTALL)
"""``key=value``, as an override or a variable of an environment is written."""


def public(tree: Any, secret: bool = False) -> Any:
    """``tree`` with secrets hidden, in mappings and lists of any depth; ``secret`` hides every value of it.

    A string ``key=value``, such as an override, keeps its key.
    """
    if isinstance(tree, Mapping):
        return {k: public(v, secret or _SECRET.search(str(k)) is not None) for k, v in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(public(value, secret) for value in tree)
    if secret:
        return None if tree is None else HIDDEN
    return _public_text(tree) if isinstance(tree, str) else tree


def public_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted key -> value of a resolved config, secrets hidden."""
    return flat(public(config))


def _public_text(text: str) -> str:
    word = _WORD.fullmatch(text)
    key, value = word.groups() if word else ("", text)
    inside = key and value.startswith(("{", "[")) and _SECRET.search(value)
    return f"{key}{HIDDEN}" if _SECRET.search(key) or inside or _SIGNED.search(value) else text
