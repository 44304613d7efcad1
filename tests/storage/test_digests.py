from __future__ import annotations

import io
import json
import zipfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from blueprint_tune.storage.digests import is_plain_zip, is_sealed, seal_zip, sealed_json, unsealed_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text().filter(lambda key: key != "sha256"), VALUES, max_size=4)


def archive(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", content)
    return buffer.getvalue()


@given(st.binary(max_size=100), st.data())
def test_a_sealed_archive_is_an_archive_and_no_byte_of_it_can_change(content: bytes, data: Any) -> None:
    plain = archive(content)
    sealed = seal_zip(plain)
    assert zipfile.ZipFile(io.BytesIO(sealed)).read("a") == content
    assert is_sealed(sealed) and is_plain_zip(plain) and not is_plain_zip(sealed) and not is_sealed(plain)
    damaged = bytearray(sealed)
    damaged[data.draw(st.integers(0, len(sealed) - 1))] ^= data.draw(st.integers(1, 255))
    assert not is_sealed(bytes(damaged)) and not is_plain_zip(bytes(damaged))
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    assert not is_sealed(cut) and not is_plain_zip(cut)


@given(DOCUMENTS, st.data())
def test_a_sealed_document_comes_back_and_no_character_of_it_can_change(document: Any, data: Any) -> None:
    text = sealed_json(document)
    assert unsealed_json(text) == document == {k: v for k, v in json.loads(text).items() if k != "sha256"}
    position = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda c: c != text[position]))
    assert unsealed_json(text[:position] + other + text[position + 1 :]) is None
    assert unsealed_json(text[:position]) is None


def test_what_is_no_document_is_no_sealed_one() -> None:
    assert all(unsealed_json(text) is None for text in ("", "[]", "{}", '{"a": 1}', "\0"))
