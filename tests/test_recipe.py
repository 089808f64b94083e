"""The recipe for conda-forge asks for what pyproject.toml asks for."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
RECIPE = yaml.safe_load((ROOT / ".conda" / "recipe.yaml").read_text(encoding="utf-8"))
CONDA_NAMES = {"huggingface-hub": "huggingface_hub", "torch": "pytorch"}


def as_conda(requirement: str) -> str:
    """Return a requirement of pip as one of conda: `napari[all]>=0.9` as `napari >=0.9`."""
    name, bound = re.fullmatch(r"([\w-]+)(?:\[\w+\])?(>=[\d.]+)", requirement).groups()
    return f"{CONDA_NAMES.get(name, name)} {bound}"


@pytest.mark.parametrize(
    ("part", "wanted", "others"),
    [
        (
            "run",
            [
                *PROJECT["project"]["dependencies"],
                *PROJECT["project"]["optional-dependencies"]["all"],
            ],
            {"python >=${{ python_min }}"},
        ),
        (
            "host",
            PROJECT["build-system"]["requires"],
            {"python ${{ python_min }}.*", "pip"},
        ),
    ],
)
def test_requirements_are_those_of_the_project(part, wanted, others):
    listed = RECIPE["requirements"][part]
    assert {*listed} == {as_conda(each) for each in wanted} | others
    assert len(listed) == len({*listed})


def test_facts_are_those_of_the_project():
    project = PROJECT["project"]
    assert RECIPE["package"]["name"] == project["name"]
    assert f">={RECIPE['context']['python_min']}" == project["requires-python"]
    about = RECIPE["about"]
    assert about["repository"] == project["urls"]["Source"]
    assert about["documentation"] == project["urls"]["Documentation"]
    assert about["summary"] == project["description"]
    assert about["license"] == project["license"]
    assert about["license_file"] == project["license-files"]
    scripts = [f"{name} = {place}" for name, place in project["scripts"].items()]
    assert RECIPE["build"]["python"]["entry_points"] == scripts


@pytest.mark.skipif(sys.platform == "win32", reason="releases are made on Linux")
def test_the_release_fills_in_version_and_hash():
    workflow = ROOT / ".github" / "workflows" / "release.yml"
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"]
    scripts = [step.get("run", "") for step in jobs["publish"]["steps"]]
    (script,) = (each for each in scripts if "recipe.yaml" in each)
    command = re.search(r"sed -e .*?(?= > recipe.yaml)", script, flags=re.DOTALL)[0]
    given = {"version": "1.2.3", "hash": "f" * 64}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT,
        env=os.environ | given,
        capture_output=True,
        text=True,
        check=True,
    )
    assert yaml.safe_load(done.stdout) == RECIPE | {
        "context": RECIPE["context"] | {"version": given["version"]},
        "source": RECIPE["source"] | {"sha256": given["hash"]},
    }
