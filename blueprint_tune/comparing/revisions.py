"""Configuration files as a git revision has them, in a folder of their own; the checkout stays as it is."""

from __future__ import annotations

import io
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from blueprint_tune.config import paths
from blueprint_tune.errors import ConfigError, nearest

CONF, SEARCHSPACES = "conf", "searchspaces"
_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Revision:
    """One revision, taken out of the repository.

    Attributes:
        name: as the user gave it. commit: its hash. roots: where its files are composed from.
        contents: file (as ``conf/policy/_place.yaml``) -> what is in it.
    """

    name: str
    commit: str
    roots: paths.Roots
    contents: dict[str, bytes]

    @property
    def label(self) -> str:
        """What people call it."""
        return self.name if self.commit.startswith(self.name) else f"{self.name} ({self.commit[:8]})"


class Repository:
    """The git repository that holds the working directory, or a folder given."""

    def __init__(self, folder: Path | None = None) -> None:
        """Raises ConfigError where there is none."""
        self._folder = folder or Path.cwd()
        self._top = Path(self._ask("rev-parse", "--show-toplevel"))
        self._prefix = self._ask("rev-parse", "--show-prefix")

    def commit(self, name: str) -> str:
        """The hash of a revision. Raises ConfigError, with the nearest name, when there is none."""
        if (found := self.find(name)) is not None:
            return found
        names = self._ask("for-each-ref", "--format=%(refname:short)").splitlines()
        raise ConfigError(f"{self._top} has no revision '{name}'. {nearest(name, names)}")

    def find(self, name: str) -> str | None:
        """The hash of a revision; None when there is none."""
        try:
            return self._ask("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except ConfigError:
            return None

    def fork_point(self, base: str, head: str) -> str | None:
        """The commit where ``head`` left ``base``; None where the history that is here does not tell."""
        try:
            return self._ask("merge-base", base, head)
        except ConfigError:
            return None

    def take_out(self, name: str, commit: str, folder: Path) -> Revision:
        """Write conf/ and searchspaces/ of a commit into ``folder``.

        They are looked for in the working directory, then at the top of the repository. Raises ConfigError
        when the commit has no conf/.
        """
        prefix = next((p for p in (self._prefix, "") if self._has(commit, p + CONF)), None)
        if prefix is None:
            raise ConfigError(f"{name} ({commit[:8]}) has no folder {CONF}/ in {self._top}.")
        wanted = [prefix + part for part in (CONF, SEARCHSPACES) if self._has(commit, prefix + part)]
        command = ["git", "-C", str(self._top), "archive", "--format=tar", commit, "--", *wanted]
        archive = _run(command)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")  # nothing outside the folder, no devices
        root = folder / prefix
        files = (path for part in (CONF, SEARCHSPACES) for path in (root / part).rglob("*") if path.is_file())
        contents = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(files)}
        return Revision(name, commit, _roots(root), contents)

    def _has(self, commit: str, path: str) -> bool:
        return bool(self._ask("ls-tree", "--name-only", commit, "--", path))

    def _ask(self, *words: str) -> str:
        where = getattr(self, "_top", self._folder)
        return _run(["git", "-C", str(where), *words]).decode(errors="replace").strip()


def _roots(root: Path) -> paths.Roots:
    """A whole conf/ takes the place of the program's; one with a user's own files is added to it."""
    if (root / CONF / "config.yaml").is_file():
        return paths.Roots(root / CONF, root / SEARCHSPACES)
    return paths.Roots(paths.conf_dir(), paths.searchspaces_dir(), users=(root / CONF,))


def _run(command: list[str]) -> bytes:
    try:
        return subprocess.run(command, capture_output=True, check=True, timeout=_TIMEOUT_S).stdout
    except FileNotFoundError as error:
        raise ConfigError("git is not installed here; diff needs it to read revisions.") from error
    except subprocess.TimeoutExpired as error:
        raise ConfigError(f"git did not answer in {_TIMEOUT_S:g} s: {' '.join(command)}") from error
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or f"exit status {error.returncode}"
        raise ConfigError(f"git: {said.splitlines()[0]}") from error
