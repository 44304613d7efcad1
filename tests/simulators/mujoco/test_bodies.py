"""Objects in real physics: dishes stand, containers hold what falls into them, sockets let in what fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from blueprint_tune.simulators.mujoco.bodies import STATIC_CONTACT, add_drawn, add_free, add_static
from blueprint_tune.tasks.classes import CLASSES, Shape
from blueprint_tune.tasks.geometry import Floats
from blueprint_tune.tasks.regions import region
from blueprint_tune.tasks.scene import Entity, Interior

X, Z = np.eye(3)[[0, 2]]
GREY = [0.5, 0.5, 0.5, 1.0]
STANDARD_S, CONTACT_RICH_S = 0.008, 0.004
"""Physics steps of the profiles."""


def entity(name: str, shape: Shape, size: Sequence[float], z: float, **fields: object) -> Entity:
    """An upright entity over the origin; ``z`` is the height of its underside."""
    extents = np.array(size)
    made = Entity(
        id=name,
        source_id=name,
        category=shape,
        labels=frozenset(),
        sim_role="static",
        affordances=frozenset(),
        position=np.array([0.0, 0.0, z + extents[2] / 2]),
        quat=np.array([1.0, 0.0, 0.0, 0.0]),
        size=extents,
        shape=shape,
        mass_kg=0.3,
        friction=0.6,
        movable=True,
    )
    return replace(made, **fields)


def simulate(
    free: Sequence[Entity],
    static: Sequence[Entity],
    seconds: float,
    dt_s: float = STANDARD_S,
    push_n: float = 0,
) -> mujoco.MjData:
    """What a world with a floor looks like after a while; ``push_n`` presses the first free body down."""
    spec = mujoco.MjSpec()
    spec.option.timestep, spec.option.impratio = dt_s, 10.0
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.worldbody.add_geom(type=mujoco.mjtGeom.mjGEOM_PLANE, size=[5, 5, 1], **STATIC_CONTACT)
    for each in static:
        add_static(spec.worldbody, each, GREY, role=True)
    for each in free:
        add_free(spec.worldbody, each, GREY)
    data = mujoco.MjData(spec.compile())
    data.xfrc_applied[data.body(free[0].id).id, 2] = -push_n
    mujoco.mj_step(data.model, data, nstep=round(seconds / dt_s))
    mujoco.mj_forward(data.model, data)
    return data


def contains(data: mujoco.MjData, container: Entity, position: Floats) -> bool:
    found = region(container)
    assert found is not None
    site = data.site(f"{container.id}_region")
    return bool((np.abs(site.xmat.reshape(3, 3).T @ (position - site.xpos)) < found.size / 2).all())


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_compiles_and_weighs_what_it_should(name: str) -> None:
    known, spec = CLASSES[name], mujoco.MjSpec()
    add_free(spec.worldbody, entity("free", known.shape, known.size, 0.0, mass_kg=known.mass_kg), GREY)
    add_static(spec.worldbody, entity("static", known.shape, known.size, 5.0), GREY, role=True)
    add_static(spec.worldbody, entity("scenery", known.shape, known.size, 9.0), GREY, role=False)
    add_drawn(spec.worldbody, entity("drawn", known.shape, known.size, 13.0), GREY)
    model = spec.compile()
    assert model.body("free").mass[0] == pytest.approx(known.mass_kg)
    assert (model.body("free").inertia > 0).all()
    names = {model.body(b).name for b in range(model.nbody)}
    assert {"free", "static"} <= names and "drawn" not in names
    touched = {model.body(model.geom_bodyid[g]).name for g in np.flatnonzero(model.geom_conaffinity)}
    assert ("static" in touched) == (known.shape != "zone"), "a zone is only a marking"
    sites = {model.site(s).name for s in range(model.nsite)}
    assert ("static_region" in sites) == (region(entity("it", known.shape, known.size, 0.0)) is not None)


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ("cup", (0.085, 0.085, 0.1)),
        ("cup", (0.12, 0.085, 0.1)),
        ("bowl", (0.16, 0.16, 0.07)),
        ("plate", (0.25, 0.25, 0.025)),
        ("bottle", (0.07, 0.07, 0.26)),
        ("cylinder", (0.066, 0.066, 0.12)),
    ],
)
def test_dishes_stand_upright_and_at_rest(shape: Shape, size: tuple[float, float, float]) -> None:
    data = simulate([entity("dish", shape, size, 0.75)], [entity("table", "box", (1, 1, 0.75), 0.0)], 2.0)
    pose = data.body("dish")
    assert pose.xmat.reshape(3, 3)[2, 2] > 0.9999
    np.testing.assert_allclose(pose.xpos, [0, 0, 0.75 + size[2] / 2], atol=1e-3)
    assert np.abs(data.qvel).max() < 1e-3


CONTAINERS: list[tuple[Shape, tuple[float, float, float], float]] = [
    ("bin", (0.3, 0.3, 0.4), 0.04),
    ("bin", (0.6, 0.4, 0.3), 0.06),
    ("bin", (0.4, 0.3, 0.04), 0.03),
    ("rack", (0.5, 0.48, 0.12), 0.05),
    ("cup", (0.085, 0.085, 0.1), 0.025),
    ("cup", (0.12, 0.085, 0.1), 0.025),
    ("bowl", (0.16, 0.16, 0.07), 0.03),
    ("pallet", (1.2, 0.8, 0.14), 0.1),
]


@pytest.mark.parametrize(("shape", "size", "edge"), CONTAINERS)
@pytest.mark.parametrize("moves", [False, True])
def test_what_falls_in_stays_in_and_what_falls_beside_does_not(
    shape: Shape, size: tuple[float, float, float], edge: float, moves: bool
) -> None:
    container = entity("container", shape, size, 0.0, mass_kg=1.0)
    middle = region(container).center[:2]
    above = np.array([*middle, size[2] + 0.1])
    into = entity("into", "box", [edge] * 3, 0.0, position=above, mass_kg=0.05)
    beside = replace(into, id="beside", position=above + ((size[0] / 2 + edge - middle[0]) * X))
    carried, standing = ([container], []) if moves else ([], [container])
    data = simulate([into, beside, *carried], standing, 2.0)
    assert contains(data, container, data.body("into").xpos)
    assert not contains(data, container, data.body("beside").xpos)
    assert np.abs(data.qvel[:6]).max() < 0.01, "at rest"


def test_a_shelf_carries_what_stands_on_its_board() -> None:
    shelf = entity("shelf", "shelf", (0.9, 0.3, 1.8), 0.0)
    bay = region(shelf)
    foot = shelf.position + bay.center - bay.size[2] / 2 * Z
    product = entity("product", "box", (0.06, 0.06, 0.15), 0.0, position=foot + 0.085 * Z)
    data = simulate([product], [shelf], 1.5)
    np.testing.assert_allclose(data.body("product").xpos, foot + 0.075 * Z, atol=2e-3)
    assert contains(data, shelf, data.body("product").xpos)


@pytest.mark.parametrize(("shape", "is_round"), [("box", False), ("cylinder", True)])
def test_a_peg_that_fits_goes_in_and_one_that_is_too_wide_does_not(shape: Shape, is_round: bool) -> None:
    hole, depth = 0.032, 0.04
    told = Interior(hole_width_m=hole, hole_depth_m=depth, hole_round=is_round)
    socket = entity("socket", "socket", (0.08, 0.08, 0.05), 0.0, interior=told)
    for width, inserted in ((hole - 0.002, True), (hole + 0.001, False)):
        peg = entity("peg", shape, (width, width, 0.1), 0.051, mass_kg=0.1)
        peg = replace(peg, position=peg.position + 0.0005 * X)
        data = simulate([peg], [socket], 1.0, CONTACT_RICH_S, push_n=0.0 if inserted else 20.0)
        tip = data.body("peg").xpos[2] - 0.05
        if inserted:
            assert tip == pytest.approx(0.05 - depth, abs=1e-3)
            assert contains(data, socket, data.body("peg").xpos - 0.04 * Z)
        else:
            assert tip > 0.05 - 0.1 * depth, "20 N press it no further than its edge"


def test_every_part_of_a_carried_compound_slides_on_the_same_friction() -> None:
    spec = mujoco.MjSpec()
    add_free(spec.worldbody, entity("mug", "cup", (0.085, 0.085, 0.1), 0.0, friction=0.37), GREY)
    model = spec.compile()
    assert model.ngeom == 10 and (model.geom_friction[:, 0] == 0.37).all()
    assert model.geom("mug").id == 0, "the first part bears the name"
