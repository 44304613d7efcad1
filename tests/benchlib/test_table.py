import json
from types import SimpleNamespace

import pytest
from benchlib.learning import cell_of
from benchlib.readme import policy_types
from benchlib.record import cpu_model
from benchlib.table import BEGIN, END, Cell, pooled, put_between_markers, read_cells, table, write_cells


def cell(seed=1, successes=90, episodes=100, training_s=240.0):
    return Cell(seed, successes, episodes, 0.0, 0.01, 2_500_000, training_s, "0123456789ab", "f00")


def test_a_cell_nobody_measured_stays_empty():
    lines = table(["drawer_manipulation"], {}, [1, 2, 3])
    assert lines[2] == "| `drawer_manipulation` |  |  |  |  |  |  |"


def test_seeds_are_pooled_with_wilsons_interval():
    rate, low, high = pooled([cell(1, 90), cell(2, 95), cell(3, 85)])
    assert rate == pytest.approx(0.9)
    assert (low, high) == (pytest.approx(0.8609, abs=1e-4), pytest.approx(0.9291, abs=1e-4))


def test_a_row_tells_every_seed_and_how_many_are_missing():
    row = table(["p"], {"p": {1: cell(1, 90), 3: cell(3, 80, training_s=300.0)}}, [1, 2, 3])[2]
    assert row == "| `p` | 0.85 (0.79 to 0.89) 2 of 3 seeds | 0.90 0.80 | 0.00 | 0.01 | 2.5 M | 4.0 5.0 |"


def test_seeds_nobody_asked_for_are_left_out():
    row = table(["p"], {"p": {1: cell(1, 90), 9: cell(9, 0)}}, [1])[2]
    assert "0.90 (" in row
    assert "9" not in row.split("|")[3].replace("0.90", "")


def test_cells_are_read_back(tmp_path):
    cells = {"p": {2: cell(2), 1: cell(1)}, "q": {}}
    write_cells(tmp_path / "learning.json", cells)
    assert read_cells(tmp_path / "learning.json") == {"p": cells["p"]}
    assert [p.name for p in tmp_path.iterdir()] == ["learning.json"]


def test_nothing_measured_yet(tmp_path):
    assert read_cells(tmp_path / "learning.json") == {}


def test_only_what_is_between_the_markers_changes():
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    once = put_between_markers(text, ["| new |"])
    assert once == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"
    assert put_between_markers(once, ["| new |"]) == once


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END} {BEGIN}"])
def test_a_text_without_markers_is_refused(text):
    with pytest.raises(ValueError, match="there is no"):
        put_between_markers(text, [])


def test_policy_types_are_the_files_of_the_group():
    assert {"dexterous_pick_place", "drawer_manipulation"} <= set(policy_types())
    assert not [name for name in policy_types() if name.startswith("_")]


def test_what_is_kept_of_an_experiment(tmp_path):
    trial = SimpleNamespace(trial_id="b", env_steps=4096, duration_s=12.34, status="completed", sample={})
    other = SimpleNamespace(trial_id="a", env_steps=1, duration_s=1.0)
    result = SimpleNamespace(
        path=tmp_path,
        trials=(other, trial),
        best_trial="b",
        metrics={"successes": 29, "episodes": 100, "baselines": {"zero": 0.0, "random": 0.02}},
    )
    folder = tmp_path / "trials" / "b"
    folder.mkdir(parents=True)
    reports = [
        {"env_steps": 2048, "eval/success_rate": 0.1, "eval/at_env_steps": 2048},
        {"env_steps": 3072, "eval/success_rate": 0.1, "eval/at_env_steps": 2048},  # the last one, repeated
        {"env_steps": 4096, "eval/success_rate": 0.251, "eval/at_env_steps": 4096},
    ]
    (folder / "result.json").write_text("".join(json.dumps(r) + "\n" for r in reports))
    kept = cell_of(result, 3, "abc", {"git_commit": "0123456789abcdef", "git_dirty": True}, cpus=1)
    curve = ((2048.0, 0.1), (4096.0, 0.251))
    assert kept == Cell(3, 29, 100, 0.0, 0.02, 4096, 12.3, "abc", "0123456789ab+", 1, curve, cpu_model())
    write_cells(tmp_path / "learning.json", {"p": {3: kept}})
    assert read_cells(tmp_path / "learning.json") == {"p": {3: kept}}
    assert "[2048.0, 0.1]" in (tmp_path / "learning.json").read_text()
