import os

import pytest
from benchlib.processes import family
from benchlib.record import Document, Repeats, number, verdict


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (5.0, "5.00"),
        (0.94, "0.94"),
        (0.8612, "0.861"),
        (12.345, "12.3"),
        (151.0, "151"),
        (54321, "54,300"),
        (9.999, "10.0"),
    ],
)
def test_numbers_have_three_significant_digits(value, text):
    assert number(value) == text


def test_ratios_are_taken_repeat_by_repeat():
    ratio = Repeats.of([4, 6, 9]) / Repeats.of([2, 2, 10])
    assert ratio.values == (2.0, 3.0, 0.9)
    assert ratio.cells() == ["0.9", "2.00", "3.00"]


@pytest.mark.parametrize(
    ("value", "at_least", "reached"), [(0.85, True, True), (0.84, True, False), (0.85, False, True)]
)
def test_a_missed_target_says_so(value, at_least, reached):
    assert verdict(value, 0.85, at_least).endswith("NOT reached") is not reached


def test_a_document_tells_command_machine_and_versions(tmp_path):
    document = Document("physics", "Physics", ["scripts/bench", "physics", "--num-envs", "8"])
    document.text("What was measured.")
    document.table(["rate", "min", "median", "max"], [["ours", *Repeats.of([1, 2, 3]).cells()]])
    text = document.write(tmp_path, {"mjlab": "1.6.0"}).read_text()
    assert text.startswith("# Physics\n\n`scripts/bench physics --num-envs 8`\n")
    assert "| ours | 1.00 | 2.00 | 3.00 |" in text
    assert "mjlab 1.6.0" in text
    assert "commit" in text


def test_a_process_knows_its_memory():
    me = family(os.getpid())[0]
    assert me.pid == os.getpid()
    assert me.memory_mib > 5
