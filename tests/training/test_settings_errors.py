"""LightningCLI's complaints, in one line."""

import pytest

from minikimi.training.settings_errors import setting_error

KNOWN = ["trainer.max_steps", "model.lr", "data.settings.samples"]
UNION = """Parser key "data.tasks":
  Does not validate against any of the Union subtypes
  Subtypes: [dict[str, float], <class 'NoneType'>]
  Errors:
    - Expected a <class 'float'>. Got value: x
  Given value type: <class 'dict'>
  Given value: {'caption': 'x'}"""
CLASS = """Parser key "model.objective":
  Problem with given class_path 'minikimi.training.objectives.NextToken':
    Option 'trian' is not accepted"""


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("unrecognized arguments: --model.lrr=3 x", "unknown setting --model.lrr (did you mean --model.lr?)"),
        ("unrecognized arguments: x", "unknown setting x"),
        ("Group 'data' does not accept option 'settings.sampels'", "did you mean --data.settings.samples?"),
        ("argument --model.lr: expected one argument", "--model.lr: expected one argument"),
        ("Parser key \"model.lr\":\n  Expected a <class 'float'>. Got value: abc", "--model.lr=abc: expected float;"),
        (UNION, "--data.tasks={'caption': 'x'}: expected dict[str, float], null;"),
        (CLASS, "unknown setting --model.objective.init_args.trian (did you mean --model.objective.init_args.train?)"),
        ('Parser key "trainer":\nUnable to load config', "--trainer: Unable to load config"),
    ],
)
def test_complaints(message: str, line: str) -> None:
    assert line in str(setting_error(message, KNOWN))
