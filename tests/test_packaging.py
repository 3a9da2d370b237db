"""What a bare machine installs is what the tests ran on."""

import importlib.metadata
import pathlib
import subprocess
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
REQUIREMENTS = [
    Requirement(text)
    for text in (*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["dev"])
]
PINS = {
    canonicalize_name(name): version
    for name, _, version in (
        line.partition("==") for line in (ROOT / "constraints.txt").read_text().splitlines()
    )
}


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_every_requirement_is_pinned_to_a_version_it_allows(requirement: Requirement) -> None:
    assert requirement.specifier.contains(PINS[canonicalize_name(requirement.name)])


def test_the_tests_run_on_the_pinned_versions() -> None:
    installed = {
        canonicalize_name(found.name): found.version for found in importlib.metadata.distributions()
    }
    others = {
        name: (installed[name], version)
        for name, version in PINS.items()
        if name in installed and installed[name] != version
    }
    assert others == {}, "run `make lint` once to install the pinned versions"


@pytest.mark.parametrize("target", ["run", "test", "bench", "protos", "lint"])
def test_make_knows_the_target_and_says_what_it_does(target: str) -> None:
    command = ["make", "--silent", "help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"make {target} " in done.stdout
