"""Reading a package's files: bounded in size, depth and time, and never executed.

Packages come from elsewhere. A file that is too large, too deep or not what its name says is a problem
with a file and a line, never an exception, and what it says counts as not said.
"""

from __future__ import annotations

import ast
import json
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from blueprint_tune.errors import BlueprintTuneError, TaskPackageError
from blueprint_tune.packages.static import LARGEST

MAX_BYTES = {"env_cfg.py": 256 * 1024, ".py": 128 * 1024, ".yaml": 64 * 1024, "": 1024 * 1024}
"""By name or ending; the generator writes a tenth of it. Bounds the memory of what is read as well."""
MAX_DEPTH = 64
MAX_ENTRIES = 10_000
UNFORESEEN = "this package cannot be judged"
"""How a refusal is told from a mistake of the reader's own."""
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Problem:
    """Why a file, or a part of one, counts as not said. ``line`` is 0 for the whole file."""

    file: str
    line: int
    text: str


@dataclass
class Folder:
    """The files of a package, as far as they could be read.

    Attributes:
        path: where it is. content: bytes by name. problems: what could not be read.
    """

    path: Path
    content: dict[str, bytes] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, file: str, text: str, line: int = 0) -> None:
        """Note that a file, or its line, cannot be read."""
        self.problems.append(Problem(file, line, text))

    def names(self) -> list[str]:
        """Names of the folder's entries, sorted; of an endless folder the first ones."""
        found: list[str] = []
        try:
            with os.scandir(self.path) as entries:
                for entry in entries:
                    found.append(entry.name)
                    if len(found) >= MAX_ENTRIES:
                        self.refuse("", f"holds more than {MAX_ENTRIES} files; the rest is not looked at.")
                        break
        except OSError as error:
            self.refuse("", f"cannot be listed: {error.strerror}.")
        return sorted(found)

    def read(self, name: str) -> bytes | None:
        """A file's content, or None where there is none or it is refused."""
        if name in self.content:
            return self.content[name]
        limit = MAX_BYTES.get(name, MAX_BYTES.get(Path(name).suffix, MAX_BYTES[""]))
        try:
            # non-blocking: a pipe must not make the reader wait for a writer
            with open(self.path / name, "rb", opener=lambda p, f: os.open(p, f | os.O_NONBLOCK)) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    self.refuse(name, "is not a file.")
                    return None
                data = file.read(limit + 1)
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            self.refuse(name, f"cannot be read: {getattr(error, 'strerror', None) or error}.")
            return None
        if len(data) > limit:
            self.refuse(name, f"is larger than {limit // 1024} KB and is not read.")
            return None
        self.content[name] = data
        return data

    def text(self, name: str) -> str | None:
        """A file's content as UTF-8, or None."""
        data = self.read(name)
        if data is None:
            return None
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self.refuse(name, f"is not UTF-8 text (byte {error.start}).")
            return None
        if "\0" in text:
            self.refuse(name, "holds NUL bytes and is not text.")
            return None
        return text

    def python(self, name: str) -> ast.Module | None:
        """A Python file's syntax tree, or None."""
        text = self.text(name)
        if text is None:
            return None
        if (line := _deep_brackets(text)) is not None:
            self.refuse(name, f"is nested more than {MAX_DEPTH} brackets deep.", line)
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # odd escapes and the like, which are the package's business
                return ast.parse(text, name)
        except SyntaxError as error:
            self.refuse(name, f"is not Python: {error.msg}.", error.lineno or 0)
        except (ValueError, RecursionError, MemoryError, OverflowError):
            self.refuse(name, "is nested too deeply to be read.")
        return None

    def json(self, name: str) -> dict[str, Any] | None:
        """A JSON file's top-level object, or None."""
        text = self.text(name)
        if text is None:
            return None
        try:
            tree = json.loads(text)
        except RecursionError:
            self.refuse(name, "is nested too deeply to be read.")
            return None
        except ValueError as error:
            self.refuse(name, f"is not JSON: {error}.", getattr(error, "lineno", 0))
            return None
        if not isinstance(tree, dict):
            self.refuse(name, f"holds a {type(tree).__name__}; expected an object.")
            return None
        return tree

    def yaml(self, name: str) -> tuple[dict[str, Any], dict[str, int]] | None:
        """A YAML file's mapping and the line of each dotted key, or None."""
        text = self.text(name)
        if text is None:
            return None
        try:
            if (refusal := _yaml_refusal(text)) is not None:
                self.refuse(name, *refusal)
                return None
            node = yaml.compose(text, Loader=_LOADER)
            if (line := _large_number(node)) is not None:
                self.refuse(name, "holds a whole number beyond 2^63, which no setting is.", line)
                return None
            tree = yaml.load(text, Loader=_LOADER)
        except (yaml.YAMLError, ValueError, RecursionError, TypeError, OverflowError) as error:
            mark = getattr(error, "problem_mark", None)
            said = getattr(error, "problem", None) or str(error).splitlines()[0]
            self.refuse(name, f"is not YAML: {said}.", mark.line + 1 if mark else 0)
            return None
        if not isinstance(tree, dict):
            self.refuse(name, f"holds a {type(tree).__name__}; expected settings.")
            return None
        lines: dict[str, int] = {}
        _lines(node, "", lines)
        return tree, lines


@contextmanager
def never_a_traceback(place: str | Path) -> Iterator[None]:
    """What nobody thought of while reading or judging a package, as a TaskPackageError."""
    try:
        yield
    except BlueprintTuneError:
        raise
    except Exception as error:  # packages come from elsewhere: any of them may be the first of its kind
        raise TaskPackageError(
            f"{place}: {UNFORESEEN} ({type(error).__name__}: {str(error)[:80]!r}). None of its code was run."
            " This is a mistake of blueprint-tune: please report it, with the package."
        ) from error


def _deep_brackets(text: str) -> int | None:
    """The line on which brackets are nested too deeply, or None.

    Counts those inside strings too: no package that is meant has so many open ones in a docstring.
    """
    depth = 0
    for number, line in enumerate(text.splitlines(), 1):
        for character in line:
            if character in "([{":
                depth += 1
                if depth > MAX_DEPTH:
                    return number
            elif character in ")]}":
                depth = max(0, depth - 1)
    return None


def _yaml_refusal(text: str) -> tuple[str, int] | None:
    """Why a YAML text is not built into objects: aliases (which may multiply or cycle), tags, depth."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None) is not None:
            return "uses anchors and aliases, which a train_cfg.yaml does not need.", line
        if (tag := getattr(event, "tag", None)) is not None and not isinstance(
            event, yaml.DocumentStartEvent
        ):
            return f"uses the tag {tag[:40]!r}, which a train_cfg.yaml does not need.", line
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                return f"is nested more than {MAX_DEPTH} deep.", line
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
    return None


def _large_number(root: yaml.Node | None) -> int | None:
    """The line of a whole number that is no constant, or None. Raises ValueError for one of 4300 digits."""
    read = yaml.constructor.SafeConstructor().construct_yaml_int
    left = [root]
    while left:
        node = left.pop()
        if isinstance(node, yaml.MappingNode):
            left += [part for pair in node.value for part in pair]
        elif isinstance(node, yaml.SequenceNode):
            left += node.value
        elif node is not None and node.tag == "tag:yaml.org,2002:int" and abs(read(node)) > LARGEST:
            return int(node.start_mark.line) + 1
    return None


def _lines(node: Any, path: str, found: dict[str, int]) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = f"{path}.{key.value}".lstrip(".") if isinstance(key, yaml.ScalarNode) else path
            found[name] = key.start_mark.line + 1
            _lines(value, name, found)
