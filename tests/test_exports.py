"""What each package promises, and that it is shipped."""

from __future__ import annotations

import ast
import re
import tomllib
from importlib import import_module

import pytest
from house import EXPORTS, FOLDERS, MODULES, ROOT, every_package


def public(package: str) -> list[str]:
    """The names that a package exports, as written in its ``__all__``."""
    for node in MODULES[package].tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def rank(name: str) -> tuple[int, list[tuple[bool, int, str]]]:
    """Sort as ruff's RUF022 does: constants, then classes, then the rest; digits as numbers."""
    sort = 0 if name.isupper() else 1 if name[:1].isupper() else 2
    parts = re.findall(r"\d+|\D+", name)
    return sort, [(not part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts]


def documentation(module: str, name: str) -> str | None:
    """The docstring of a name, in the module that defines it."""
    exported = MODULES[module].exported
    if name in exported:
        return documentation(*exported[name])
    found = dict(MODULES[module].definitions)
    assert name in found, f"{module} does not define {name}"
    return found[name]


@every_package
def test_exports_are_what_was_promised(package: str) -> None:
    """The public names of a package change only together with this list."""
    assert public(package) == EXPORTS[package]
    imported = import_module(package)
    assert all(hasattr(imported, name) for name in EXPORTS[package])


@every_package
def test_exports_are_sorted(package: str) -> None:
    """Public names stand in one order, so that each is found and none is listed twice."""
    assert public(package) == sorted(set(public(package)), key=rank)


@pytest.mark.parametrize(
    ("package", "name"), [(package, name) for package in EXPORTS for name in EXPORTS[package]]
)
def test_exports_say_what_they_are_for(package: str, name: str) -> None:
    """Every public name has a docstring."""
    assert documentation(package, name)


@every_package
def test_packages_are_shipped_whole(package: str) -> None:
    """Each package is in the wheel, from its folder."""
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    names = {module.name for module in MODULES.values() if module.file.name == "__init__.py"}
    assert names == set(setuptools["packages"])
    assert setuptools["package-dir"][package] == FOLDERS[package]


def test_networks_and_priors_are_shipped() -> None:
    """What is data and no module is named where packages are."""
    shipped = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    named = shipped["package-data"]
    assert "*.tflite" in named["catalog.data.starter"]
    assert "*.npz" in named["catalog.data.priors"]
    assert "*.npz" in named["catalog.data.projections"]
