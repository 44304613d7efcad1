"""``checksums.sha256``: the digest of every file of a bundle, as ``sha256sum -c`` reads it, and of itself.

The last line, a comment to ``sha256sum``, is the digest of the lines before it: the list cannot be cut or
changed unnoticed, and a damaged list is told from a damaged file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from blueprint_tune.errors import BundleDamaged
from blueprint_tune.storage.digests import sha256

CHECKSUMS = "checksums.sha256"
_LINE = re.compile(r"([0-9a-f]{64})  (.+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_OWN = "# sha256 of the lines above: "


def checksums_text(files: Mapping[str, bytes]) -> str:
    """The list for some files' contents."""
    lines = "".join(f"{sha256(content)}  {name}\n" for name, content in sorted(files.items()))
    return f"{lines}{_OWN}{sha256(lines.encode())}\n"


def parse_checksums(content: bytes, where: str) -> dict[str, str]:
    """File name -> digest.

    Raises BundleDamaged for a list that is not, to a single bit, what :func:`checksums_text` wrote, or that
    names anything but plain files beside it.
    """
    lines, _, own = content.decode(errors="replace").rpartition(_OWN)
    if own != f"{sha256(lines.encode())}\n":
        raise BundleDamaged(f"The bundle {where} is damaged: {CHECKSUMS} is not what was written. {REMEDY}")
    found = {}
    for line in lines.splitlines():
        match = _LINE.fullmatch(line)
        if match is None or not _NAME.fullmatch(match[2]) or match[2] in found:
            raise BundleDamaged(
                f"{where}: {CHECKSUMS} has a line that names no file of a bundle: {line!r:.200}"
            )
        found[match[2]] = match[1]
    return found


REMEDY = "Copy the bundle again, or write it again from its experiment:  blueprint-tune export EXPERIMENT"
