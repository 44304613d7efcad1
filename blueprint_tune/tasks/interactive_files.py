"""Where upstream's interactive job leaves its files beside a manifest, and nowhere else."""

from __future__ import annotations

from pathlib import Path

from blueprint_tune.tasks.meshes import MeshError, MeshPart, read_parts
from blueprint_tune.tasks.reading import show

_SEGMENTED = ("part.glb", "mesh.glb", "model.glb")
"""Where upstream keeps the parts when the files that its URDF names stayed behind: one node each."""


def find_urdf(source_id: str, folder: Path) -> Path | None:
    """The object's URDF inside ``folder``, or None."""
    bare = source_id.removeprefix("obj_")
    names = dict.fromkeys((source_id, f"obj_{source_id}", bare, f"obj_{bare}", "robot", "model"))
    for place in dict.fromkeys((f"obj_{source_id}", f"obj_{bare}")):
        for name in names:
            path = folder / "interactive" / place / f"{name}.urdf"
            if inside(path, folder):
                return path
    return None


def inside(path: Path, folder: Path) -> bool:
    """Whether this is a file that lies, links followed, in the folder."""
    try:
        return path.resolve().is_relative_to(folder.resolve()) and path.is_file()
    except (OSError, ValueError, RuntimeError):
        return False


class Meshes:
    """Reads the meshes that a URDF names, each once, and only from inside the scene's folder.

    Attributes:
        seen: what was found, for the scene's identity: names and bounds, which is all that is used of it.
    """

    def __init__(self, folder: Path, scene: Path) -> None:
        self._folder, self._scene = folder, scene
        self._found: dict[str, tuple[list[MeshPart], bool]] = {}
        self.seen = b""

    def __call__(self, reference: str) -> tuple[list[MeshPart], bool]:
        """The parts of a mesh, and whether they stand in the link's frame. Raises MeshError naming it."""
        if reference not in self._found:
            self._found[reference] = self._read(reference)
            parts, in_link = self._found[reference]
            self.seen += b"".join(
                part.name.encode(errors="replace") + part.corners.tobytes() for part in parts
            )
            self.seen += bytes([in_link])
        return self._found[reference]

    def _read(self, reference: str) -> tuple[list[MeshPart], bool]:
        named = Path(reference.split("://", 1)[-1].replace("\\", "/"))
        for place in (named, Path("meshes", named.name), Path(named.name)):
            path = self._folder / place
            if named.name and inside(path, self._scene):
                try:
                    return read_parts(path), True
                except MeshError as error:
                    raise MeshError(f"its mesh '{show(reference)}' {error}") from error
        segmented = self._segmented(named.stem)
        if not segmented:
            raise MeshError(f"its mesh '{show(reference)}' is not beside it")
        return segmented, False

    def _segmented(self, stem: str) -> list[MeshPart]:
        """The nodes of that name (part_3; in an animated file part_node_3) of the object's whole mesh."""
        for name in _SEGMENTED:
            path = self._folder / name
            if not inside(path, self._scene):
                continue
            try:
                parts = read_parts(path)
            except MeshError:
                continue
            named = [part for part in parts if part.name.replace("_node", "") == stem]
            if named:
                return named
        return []
