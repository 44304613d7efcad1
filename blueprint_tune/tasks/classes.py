"""What is assumed of an object whose class is known and whose manifest leaves something out.

The sizes and masses are typical household values; every one that is used is listed among a scene's guesses.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import pi
from typing import Literal

Opening = Literal["drawer", "door", "flap", "lid", "knob", "button"]
"""How a class opens: out of its front, about an upright edge, folding down, tilting up, turned, pressed."""

Shape = Literal[
    "box", "cylinder", "cup", "bowl", "plate", "bottle", "cloth",
    "bin", "rack", "shelf", "pallet", "zone", "socket",
]  # fmt: skip
"""What an object is made of (tasks/shapes.py). Hollow: cup (a mug with a handle where its size leaves room
for one), bowl, bin (also totes, baskets, trays), rack (a low bin), shelf (open at the front), socket (a
block with a hole). A zone is a marking on the floor that nothing touches; cloth is flat where it is rigid."""


@dataclass(frozen=True)
class EntityClass:
    """Defaults of one class.

    Attributes:
        size: width, depth, height in metres. mass_kg: of one that can be carried.
        shape: what its collision shape is made of. stands: always on the floor.
        holds: 'contents' when other things may be inside its box (a rack, a fridge), 'fixtures' when only
            things built into it may (a counter with its drawers, a table with a chair pushed under it).
        opening: how it opens when it is articulated. upper: default range in m or rad.
        front_moves: only a panel on the front moves, not all of it.
        shell: part of the room itself.
    """

    size: tuple[float, float, float]
    mass_kg: float = 0.3
    shape: Shape = "box"
    stands: bool = False
    holds: Literal["contents", "fixtures"] | None = None
    opening: Opening | None = None
    upper: float = 0.0
    front_moves: bool = False
    shell: bool = False


def _appliance(
    width: float, depth: float, height: float, opening: Opening, stands: bool = True
) -> EntityClass:
    return EntityClass(
        (width, depth, height), 40.0, "box", stands, "contents", opening, pi / 2, front_moves=True
    )


CLASSES: dict[str, EntityClass] = {
    # the room
    "floor": EntityClass((4.0, 4.0, 0.02), shell=True),
    "wall": EntityClass((4.0, 0.1, 2.5), shell=True),
    "ceiling": EntityClass((4.0, 4.0, 0.02), shell=True),
    "rug": EntityClass((1.5, 1.0, 0.01), 3.0, stands=True),
    "window": EntityClass((1.0, 0.08, 1.0), 20.0),
    "dock_door": EntityClass((2.5, 0.08, 2.8), 120.0),
    # furniture
    "counter": EntityClass((1.8, 0.62, 0.9), 80.0, stands=True, holds="fixtures"),
    "island": EntityClass((1.6, 0.9, 0.9), 90.0, stands=True, holds="fixtures"),
    "table": EntityClass((1.4, 0.8, 0.75), 30.0, stands=True, holds="fixtures"),
    "desk": EntityClass((1.4, 0.7, 0.74), 30.0, stands=True, holds="fixtures"),
    "chair": EntityClass((0.45, 0.5, 0.9), 6.0, stands=True, holds="fixtures"),
    "stool": EntityClass((0.38, 0.38, 0.65), 4.0, "cylinder", stands=True),
    "sofa": EntityClass((2.0, 0.9, 0.8), 50.0, stands=True),
    "armchair": EntityClass((0.85, 0.85, 0.8), 25.0, stands=True),
    "coffee_table": EntityClass((1.1, 0.6, 0.45), 15.0, stands=True, holds="fixtures"),
    "side_table": EntityClass((0.45, 0.45, 0.55), 6.0, stands=True, holds="fixtures"),
    "sideboard": EntityClass((1.6, 0.45, 0.85), 45.0, stands=True, holds="fixtures"),
    "tv_stand": EntityClass((1.5, 0.4, 0.5), 30.0, stands=True, holds="fixtures"),
    "bed": EntityClass((1.6, 2.0, 0.5), 70.0, stands=True),
    "nightstand": EntityClass((0.45, 0.4, 0.55), 12.0, stands=True, holds="fixtures"),
    "vanity": EntityClass((1.2, 0.5, 0.85), 40.0, stands=True, holds="fixtures"),
    "ironing_board": EntityClass((0.35, 1.2, 0.88), 7.0, stands=True),
    "drying_rack": EntityClass((0.55, 0.9, 1.0), 4.0, stands=True, holds="contents"),
    "lab_bench": EntityClass((1.8, 0.75, 0.9), 90.0, stands=True, holds="fixtures"),
    "display": EntityClass((1.2, 0.9, 0.85), 40.0, stands=True, holds="fixtures"),
    "checkout": EntityClass((0.6, 1.4, 0.88), 60.0, stands=True, holds="fixtures"),
    "whiteboard": EntityClass((1.2, 0.03, 0.8), 8.0),
    "shelf": EntityClass((0.9, 0.3, 1.8), 25.0, "shelf", holds="contents"),
    "racking": EntityClass((2.7, 1.0, 3.0), 150.0, "shelf", stands=True, holds="contents"),
    "cabinet": EntityClass(
        (0.6, 0.4, 0.72), 20.0, holds="contents", opening="door", upper=pi / 2, front_moves=True
    ),
    "cupboard": EntityClass(
        (0.6, 0.4, 0.72), 20.0, holds="contents", opening="door", upper=pi / 2, front_moves=True
    ),
    "wardrobe": _appliance(1.0, 0.6, 2.0, "door"),
    "drawer": EntityClass((0.45, 0.45, 0.18), 4.0, holds="contents", opening="drawer", upper=0.3),
    "filing_cabinet": EntityClass((0.42, 0.5, 0.3), 12.0, holds="contents", opening="drawer", upper=0.33),
    "cabinet_door": EntityClass((0.4, 0.02, 0.7), 4.0, opening="door", upper=pi / 2),
    "door": EntityClass((0.9, 0.04, 2.0), 20.0, opening="door", upper=pi / 2),
    "chest": EntityClass((0.9, 0.45, 0.45), 15.0, stands=True, holds="contents", opening="lid", upper=pi / 2),
    # appliances
    "fridge": _appliance(0.7, 0.7, 1.8, "door"),
    "freezer": _appliance(0.6, 0.65, 1.5, "door"),
    "dishwasher": _appliance(0.6, 0.6, 0.82, "flap"),
    "oven": _appliance(0.6, 0.6, 0.6, "flap", stands=False),
    "microwave": _appliance(0.48, 0.36, 0.28, "door", stands=False),
    "washing_machine": _appliance(0.6, 0.6, 0.85, "door"),
    "incubator": _appliance(0.62, 0.62, 1.5, "door"),
    "refrigerator_case": _appliance(0.7, 0.7, 1.8, "door"),
    "chest_freezer": _appliance(1.4, 0.7, 0.9, "lid"),
    "fume_hood": EntityClass((1.5, 0.8, 2.3), 200.0, stands=True, holds="fixtures"),
    "centrifuge": EntityClass((0.45, 0.5, 0.35), 30.0),
    "microscope": EntityClass((0.22, 0.3, 0.4), 6.0),
    "hot_plate": EntityClass((0.18, 0.25, 0.1), 2.8),
    "vortex_mixer": EntityClass((0.13, 0.16, 0.14), 2.5, "cylinder"),
    "printer": EntityClass((0.4, 0.36, 0.25), 8.0),
    "monitor": EntityClass((0.6, 0.18, 0.45), 5.0),
    "tv": EntityClass((1.2, 0.08, 0.7), 15.0),
    "keyboard": EntityClass((0.44, 0.14, 0.025), 0.6),
    "cash_register": EntityClass((0.35, 0.35, 0.3), 6.0),
    "iron": EntityClass((0.12, 0.26, 0.14), 1.3),
    "stove": EntityClass((0.6, 0.52, 0.05), 10.0),
    "hood": EntityClass((0.6, 0.5, 0.4), 10.0),
    "toaster": EntityClass((0.28, 0.17, 0.19), 1.5),
    "kettle": EntityClass((0.2, 0.16, 0.22), 1.0, "cylinder"),
    "coffee_machine": EntityClass((0.22, 0.35, 0.32), 4.0),
    "sink": EntityClass((0.6, 0.45, 0.2), 6.0, holds="contents"),
    "faucet": EntityClass((0.05, 0.2, 0.3), 1.5),
    "bathtub": EntityClass((1.7, 0.75, 0.56), 60.0, stands=True),
    "shower": EntityClass((0.9, 0.9, 2.0), 60.0, stands=True, holds="contents"),
    "toilet": EntityClass((0.38, 0.7, 0.78), 35.0, stands=True),
    "mirror": EntityClass((0.6, 0.03, 0.8), 6.0),
    "towel_rack": EntityClass((0.6, 0.08, 0.05), 1.0),
    "shower_tray": EntityClass((0.9, 0.9, 0.02), 20.0, stands=True),
    "panel": EntityClass((0.4, 0.06, 0.2), 3.0),
    "ledge": EntityClass((0.8, 0.25, 0.03), 4.0),
    "knob": EntityClass((0.05, 0.03, 0.05), 0.1, opening="knob", upper=pi),
    "dial": EntityClass((0.05, 0.03, 0.05), 0.1, opening="knob", upper=pi),
    "valve": EntityClass((0.1, 0.05, 0.1), 0.4, opening="knob", upper=pi),
    "button": EntityClass((0.03, 0.02, 0.03), 0.02, opening="button", upper=0.01),
    "switch": EntityClass((0.03, 0.02, 0.05), 0.02, opening="button", upper=0.008),
    "lamp": EntityClass((0.3, 0.3, 0.4), 1.5, "cylinder"),
    "picture": EntityClass((0.5, 0.03, 0.4), 1.0),
    # logistics
    "conveyor": EntityClass((0.7, 3.0, 0.8), 120.0, stands=True, holds="fixtures"),
    "cart": EntityClass((0.6, 0.45, 0.8), 12.0, stands=True, holds="fixtures"),
    "shopping_cart": EntityClass((0.55, 0.9, 1.0), 15.0, stands=True, holds="contents"),
    "forklift": EntityClass((1.1, 2.4, 2.1), 2500.0, stands=True),
    "pallet_jack": EntityClass((0.55, 1.5, 1.2), 70.0, stands=True),
    "hand_truck": EntityClass((0.5, 0.5, 1.2), 12.0, stands=True),
    "ramp": EntityClass((1.9, 2.0, 0.02), 200.0, stands=True),
    "liftgate": EntityClass((2.2, 1.5, 0.5), 200.0, stands=True, holds="fixtures"),
    "bumper": EntityClass((0.25, 0.12, 0.5), 8.0),
    "bollard": EntityClass((0.15, 0.15, 1.0), 20.0, "cylinder", stands=True),
    "fire_extinguisher": EntityClass((0.16, 0.16, 0.5), 9.0, "cylinder"),
    "gas_cylinder": EntityClass((0.23, 0.23, 1.5), 60.0, "cylinder", stands=True),
    "drum": EntityClass((0.58, 0.58, 0.88), 20.0, "cylinder", stands=True),
    "pallet_load": EntityClass((1.1, 0.75, 1.0), 300.0),
    # containers and places
    "rack": EntityClass((0.5, 0.5, 0.12), 2.0, "rack", holds="contents"),
    "bin": EntityClass((0.3, 0.3, 0.4), 1.5, "bin", holds="contents"),
    "hamper": EntityClass((0.4, 0.4, 0.55), 1.5, "bin", holds="contents"),
    "basket": EntityClass((0.4, 0.3, 0.2), 0.6, "bin", holds="contents"),
    "tote": EntityClass((0.6, 0.4, 0.3), 2.0, "bin", holds="contents"),
    "crate": EntityClass((0.5, 0.35, 0.28), 2.0, "bin", holds="contents"),
    "tray": EntityClass((0.4, 0.3, 0.04), 0.6, "bin", holds="contents"),
    "pallet": EntityClass((1.2, 0.8, 0.14), 20.0, "pallet", stands=True, holds="contents"),
    "zone": EntityClass((1.0, 1.0, 0.01), 1.0, "zone", stands=True, holds="contents"),
    "socket": EntityClass((0.08, 0.08, 0.06), 1.0, "socket", holds="contents"),
    "tube_rack": EntityClass((0.1, 0.1, 0.07), 0.3, "socket", holds="contents"),
    # things to handle
    "plate": EntityClass((0.24, 0.24, 0.025), 0.45, "plate"),
    "bowl": EntityClass((0.16, 0.16, 0.07), 0.35, "bowl", holds="contents"),
    "mug": EntityClass((0.085, 0.085, 0.1), 0.35, "cup"),
    "cup": EntityClass((0.08, 0.08, 0.09), 0.2, "cup"),
    "glass": EntityClass((0.07, 0.07, 0.14), 0.25, "cup"),
    "bottle": EntityClass((0.07, 0.07, 0.26), 0.55, "bottle"),
    "jar": EntityClass((0.08, 0.08, 0.12), 0.4, "cylinder"),
    "can": EntityClass((0.066, 0.066, 0.12), 0.35, "cylinder"),
    "tin": EntityClass((0.06, 0.06, 0.08), 0.15),
    "box": EntityClass((0.1, 0.1, 0.1), 0.3),
    "carton": EntityClass((0.08, 0.08, 0.2), 0.6),
    "package": EntityClass((0.2, 0.15, 0.1), 0.8),
    "cube": EntityClass((0.05, 0.05, 0.05), 0.1),
    "book": EntityClass((0.15, 0.21, 0.03), 0.3),
    "pot": EntityClass((0.22, 0.22, 0.14), 1.2, "cylinder", holds="contents"),
    "pan": EntityClass((0.28, 0.28, 0.05), 1.0, "cylinder"),
    "cutting_board": EntityClass((0.35, 0.24, 0.02), 0.9),
    "knife": EntityClass((0.02, 0.22, 0.02), 0.12),
    "fork": EntityClass((0.025, 0.19, 0.02), 0.06),
    "spoon": EntityClass((0.04, 0.18, 0.02), 0.06),
    "spatula": EntityClass((0.07, 0.3, 0.03), 0.1),
    "sponge": EntityClass((0.11, 0.07, 0.03), 0.02),
    "fruit": EntityClass((0.075, 0.075, 0.075), 0.18, "cylinder"),
    "towel": EntityClass((0.4, 0.3, 0.01), 0.15, "cloth"),
    "cloth": EntityClass((0.3, 0.3, 0.01), 0.1, "cloth"),
    "shirt": EntityClass((0.3, 0.3, 0.01), 0.15, "cloth"),
    "trousers": EntityClass((0.3, 0.4, 0.015), 0.35, "cloth"),
    "sock": EntityClass((0.1, 0.2, 0.01), 0.03, "cloth"),
    "peg": EntityClass((0.03, 0.03, 0.1), 0.1),
    "connector": EntityClass((0.03, 0.02, 0.05), 0.05),
    "tube": EntityClass((0.018, 0.018, 0.12), 0.02, "cylinder"),
    "vial": EntityClass((0.025, 0.025, 0.055), 0.03, "cylinder"),
    "beaker": EntityClass((0.07, 0.07, 0.1), 0.12, "cup"),
    "flask": EntityClass((0.08, 0.08, 0.14), 0.15, "bottle"),
    "petri_dish": EntityClass((0.09, 0.09, 0.015), 0.02, "cylinder"),
    "microplate": EntityClass((0.127, 0.085, 0.015), 0.06),
    "soap": EntityClass((0.06, 0.09, 0.03), 0.1),
    "candle": EntityClass((0.065, 0.065, 0.08), 0.3, "cylinder"),
    "vase": EntityClass((0.12, 0.12, 0.25), 0.9, "bottle"),
    "pillow": EntityClass((0.6, 0.4, 0.12), 0.6),
    "clock": EntityClass((0.1, 0.06, 0.08), 0.25),
    "remote": EntityClass((0.045, 0.16, 0.022), 0.1),
    "phone": EntityClass((0.075, 0.15, 0.01), 0.2),
    "mouse": EntityClass((0.06, 0.1, 0.035), 0.08),
    "stapler": EntityClass((0.04, 0.15, 0.06), 0.25),
    "tape_dispenser": EntityClass((0.07, 0.16, 0.08), 0.5),
    "tape_roll": EntityClass((0.1, 0.1, 0.05), 0.2, "cylinder"),
    "binder": EntityClass((0.08, 0.28, 0.31), 1.2),
    "scanner": EntityClass((0.07, 0.1, 0.16), 0.3),
    "plant": EntityClass((0.2, 0.2, 0.35), 2.0, "cylinder"),
}

ALIASES = {
    "couch": "sofa",
    "closet": "wardrobe",
    "bedside_table": "nightstand",
    "workbench": "table",
    "lab_table": "lab_bench",
    "pallet_rack": "racking",
    "storage_rack": "racking",
    "trolley": "cart",
    "roll_up_door": "dock_door",
    "dock_leveler": "ramp",
    "leveler": "ramp",
    "barrel": "drum",
    "stacker": "forklift",
    "dolly": "hand_truck",
    "television": "tv",
    "television_stand": "tv_stand",
    "copier": "printer",
    "laptop": "monitor",
    "filing_drawer": "filing_cabinet",
    "file_cabinet": "filing_cabinet",
    "freezer_chest": "chest_freezer",
    "cooler": "refrigerator_case",
    "dryer": "washing_machine",
    "towel_rail": "towel_rack",
    "towel_bar": "towel_rack",
    "drying_frame": "drying_rack",
    "bath": "bathtub",
    "tub": "bathtub",
    "basin": "sink",
    "washbasin": "sink",
    "sheet": "cloth",
    "pillowcase": "cloth",
    "washcloth": "cloth",
    "blanket": "cloth",
    "sweater": "shirt",
    "bath_mat": "rug",
    "magazine": "book",
    "notebook": "book",
    "folder": "binder",
    "tablet": "phone",
    "picture_frame": "picture",
    "painting": "picture",
    "refrigerator": "fridge",
    "countertop": "counter",
    "worktop": "counter",
    "kitchen_island": "island",
    "cooktop": "stove",
    "hob": "stove",
    "range": "stove",
    "range_hood": "hood",
    "extractor": "hood",
    "tap": "faucet",
    "coffee_maker": "coffee_machine",
    "espresso_machine": "coffee_machine",
    "dresser": "drawer",
    "cabinet_drawer": "drawer",
    "cupboard_door": "cabinet_door",
    "bookshelf": "shelf",
    "bookcase": "shelf",
    "dishrack": "rack",
    "testtube_rack": "tube_rack",
    "vial_rack": "tube_rack",
    "shelving": "shelf",
    "trash_can": "bin",
    "wastebasket": "bin",
    "laundry_basket": "hamper",
    "laundry_bin": "hamper",
    "staging_area": "zone",
    "staging_zone": "zone",
    "floor_staging": "zone",
    "marking": "zone",
    "port": "socket",
    "plug": "connector",
    "test_tube": "tube",
    "testtube": "tube",
    "t_shirt": "shirt",
    "tshirt": "shirt",
    "blouse": "shirt",
    "garment": "cloth",
    "napkin": "cloth",
    "dishcloth": "cloth",
    "pants": "trousers",
    "jeans": "trousers",
    "trashcan": "bin",
    "garbage_can": "bin",
    "dish": "plate",
    "saucer": "plate",
    "tumbler": "glass",
    "wine_glass": "glass",
    "canister": "tin",
    "shaker": "bottle",
    "parcel": "package",
    "saucepan": "pot",
    "skillet": "pan",
    "chopping_board": "cutting_board",
    "apple": "fruit",
    "orange": "fruit",
    "washer": "washing_machine",
    "carpet": "rug",
}


def words(text: str) -> list[str]:
    """Lower-case words of a name without its numbers: 'Coffee-Mug_001' -> ['coffee', 'mug']."""
    spaced = re.sub(r"([a-z])([A-Z])", r"\1 \2", text)
    return [word for word in re.findall(r"[a-z]+", spaced.lower()) if word]


def _known(word: str) -> str | None:
    for candidate in (word, word.removesuffix("s"), word.removesuffix("es")):
        name = ALIASES.get(candidate, candidate)
        if name in CLASSES:
            return name
    return None


def _phrases(parts: list[str]) -> Iterator[str]:
    """Runs of words, those ending the name first and longer ones before shorter: its head noun decides."""
    for end in range(len(parts), 0, -1):
        for start in range(max(0, end - 3), end):
            yield "_".join(parts[start:end])


def recognise(texts: Iterable[str]) -> str | None:
    """The known class that the first of ``texts`` speaks of, or None: 'dining table' -> 'table'."""
    for text in texts:
        for phrase in _phrases(words(text)):
            name = _known(phrase)
            if name is not None:
                return name
    return None
