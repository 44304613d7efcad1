from __future__ import annotations

from blueprint_tune.config.conf_files import Library
from blueprint_tune.config.tree import load

COMMANDS = (
    ["+scene=kitchen_001", "policy=dish_loading", "preset=quick", "sweep=asha", "agent.learning_rate=1e-3"],
    ["+scene=kitchen_001", "policy=drawer_manipulation"],
    ["+scene=kitchen_001", "policy=dish_loading", "preset=quick", "sweep=asha", "agent.learning_rate=1e-3"],
    ["+scene=kitchen_001", "agent=nothing"],
)


def test_what_is_composed_from_kept_files_is_the_same() -> None:
    library = Library()
    for words in COMMANDS:
        assert load(words, library=library) == load(words)


def test_it_knows_which_files_a_composition_was_made_of() -> None:
    library = Library()
    for policy, base in (("dish_loading", "policy/_place"), ("drawer_manipulation", "policy/_articulate")):
        library.read.clear()
        load(["+scene=kitchen_001", f"policy={policy}", "preset=quick"], library=library)
        groups = {name for name in library.read if name.startswith(("policy/", "preset/", "agent/"))}
        assert {f"policy/{policy}", base, "preset/quick", "agent/ppo_cpu"} <= groups
        assert "preset/full" not in groups and "agent/ppo" not in groups
