"""pyproject.toml, environment.yml, constraints.txt and the Makefile tell one story about what gets installed."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]


def pins() -> dict[str, Requirement]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    requirements = [Requirement(line) for line in lines if line and not line.startswith("#")]
    return {canonicalize_name(r.name): r for r in requirements}


def version(pin: Requirement) -> Version:
    (only,) = pin.specifier
    assert only.operator == "==" and "*" not in only.version, f"{pin} is not an exact version"
    return Version(only.version)


@pytest.mark.parametrize("line", PROJECT["dependencies"] + [line for extra in EXTRAS.values() for line in extra])
def test_every_dependency_has_a_pin_within_its_range(line: str) -> None:
    wanted = Requirement(line)
    pin = pins()[canonicalize_name(wanted.name)]
    assert version(pin) in wanted.specifier
    # A pin without a marker is fine for a dependency with one; the other way round leaves a platform unpinned.
    assert pin.marker is None or str(pin.marker) == str(wanted.marker)


def test_every_pin_is_exact_public_and_named_once() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    names = [line.split("==")[0] for line in lines if not line.startswith("#")]
    assert len(pins()) == len(names)
    assert names == sorted(names)
    for pin in pins().values():
        assert version(pin).local is None  # 2.13.0 admits every build of it, 2.13.0+cpu only one


def test_triton_is_the_one_torch_asks_for() -> None:
    # torch's Linux wheel with CUDA requires exactly this triton; a newer pin could not be installed beside it.
    assert str(version(pins()["torch"])) == "2.13.0"
    assert str(version(pins()["triton"])) == "3.7.1"


def test_conda_installs_the_same_list() -> None:
    *conda, pip = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    assert conda == ["python" + PROJECT["requires-python"], "pip"]
    listed = PROJECT["dependencies"] + EXTRAS["dev"] + EXTRAS["notebooks"] + EXTRAS["browser"]
    listed += EXTRAS["benchmarks"]
    assert pip["pip"] == ["-c constraints.txt", *listed, "-e ."]


def test_makefile_installs_the_pinned_torch_and_the_same_extras() -> None:
    makefile = (ROOT / "Makefile").read_text()
    assert f"TORCH := torch=={version(pins()['torch'])}\n" in makefile
    assert '-c constraints.txt -e ".[dev,notebooks,browser,benchmarks]"' in makefile
    assert "sys.version_info < (3, 11)" in makefile and PROJECT["requires-python"] == ">=3.11"
