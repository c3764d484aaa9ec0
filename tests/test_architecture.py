"""The house: which part may know which, and how it is kept readable."""

from __future__ import annotations

import ast
import re
import sys

from house import (
    ENTRY,
    FOLDERS,
    MAY_IMPORT,
    MODULES,
    MOST_PARTS,
    ONLY_IN,
    ROOT,
    Module,
    every_module,
    part_of,
    tops,
)


@every_module
def test_imports_go_one_way(module: Module) -> None:
    """A module imports only from its own part of the house and from those below it."""
    if module.name != ENTRY:
        allowed = MAY_IMPORT[module.part] | {module.part}
        assert {part_of(name) for name in module.used} <= allowed


def test_the_order_of_parts_has_no_circle() -> None:
    """Part by part, from the lowest up, each may import only those that came before."""
    below: set[str] = set()
    for part, allowed in MAY_IMPORT.items():
        assert allowed <= below, part
        below.add(part)


def test_the_house_is_small() -> None:
    """A newcomer finds few folders and modules in the package, and knows each by its name."""
    inside = [entry for entry in (ROOT / "catalog").iterdir() if entry.name != "__pycache__"]
    assert len([entry for entry in inside if entry.is_dir() or entry.suffix == ".py"]) <= MOST_PARTS


SQL = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|PRAGMA|BEGIN|CREATE|VACUUM)\b")
WITH_SQL = {"catalog.store", "catalog.cli.completion"}
"""What may speak to the file: the store, and completion, which must not bring NumPy along."""


@every_module
def test_sql_stays_in_the_store(module: Module) -> None:
    """No other part of the house has SQL, or calls what takes it."""
    if {module.name, module.part} & WITH_SQL:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            assert not SQL.match(node.value), node.value
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            assert node.func.attr not in {"execute", "executemany", "executescript"}


MAY_WRITE = {
    "catalog.cli.streams",
    "catalog.cli.completion",  # what a shell reads
    "catalog.cli.health",  # what has to work where nothing else does
    "catalog.embedder.export",  # a process of its own, whose output is read
}
"""What may write to the standard streams; the rest goes through it, and so no name goes bare."""


@every_module
def test_one_place_writes_to_the_terminal(module: Module) -> None:
    """Nothing else prints, or writes to a standard stream."""
    if module.name in MAY_WRITE:
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "typer.echo", "typer.secho", "typer.style"}, called
            assert not re.search(r"\bstd(out|err)(__)?(\.buffer)?\.write", called), called


def test_nothing_goes_by_another_name() -> None:
    """Nothing imports a folder of the checkout by its own name, which is not installed."""
    own = {folder for folder in FOLDERS.values() if folder != "catalog"}
    for folder in (*FOLDERS.values(), "benchmarks", "recipes", "tests"):
        for file in (ROOT / folder).rglob("*.py"):
            imported = tops(Module(file.stem, file).imports)
            assert not imported & own, file
            if folder in FOLDERS.values():
                assert not imported & {"benchmarks", "recipes", "tests"}, file


@every_module
def test_libraries_stay_where_they_belong(module: Module) -> None:
    """TensorFlow is imported by the export alone, FAISS by the index alone, and so on."""
    for library in tops(module.imports) & set(ONLY_IN):
        assert ONLY_IN[library] & {module.name, module.part}, f"{library} in {module.name}"


def test_the_leaf_needs_numpy_alone() -> None:
    """What all packages may import rests on NumPy and the standard library."""
    for module in MODULES.values():
        if module.part == "catalog.descriptors":
            third_party = tops(module.imports) - {"catalog"} - sys.stdlib_module_names
            assert third_party <= {"numpy"}


@every_module
def test_the_machine_is_looked_at_without_libraries(module: Module) -> None:
    """What says why libraries cannot be imported imports none at the top of a module."""
    if module.part == "catalog.machine":
        for node in module.tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names]
                top = {getattr(node, "module", None) or names[0]}
                assert tops(top) <= sys.stdlib_module_names | {"catalog"}


@every_module
def test_nothing_is_pickled(module: Module) -> None:
    """No module loads objects that could run code, nor lets NumPy do so."""
    assert not tops(module.imports) & {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal"}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.keyword) and node.arg == "allow_pickle":
            assert isinstance(node.value, ast.Constant)
            assert node.value.value is False
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "np.load":
            assert any(keyword.arg == "allow_pickle" for keyword in node.keywords)


@every_module
def test_modules_are_short(module: Module) -> None:
    """No module is over 500 lines."""
    assert module.text.count("\n") <= 500


@every_module
def test_modules_are_named_after_what_they_do(module: Module) -> None:
    """No module or class is named for being useful in general."""
    vague = re.compile(r"(util|helper|manager|misc|common)s?$", re.IGNORECASE)
    classes = [node.name for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    assert not [name for name in (module.name, *classes) if vague.search(name)]


@every_module
def test_nothing_is_left_for_later(module: Module) -> None:
    """No module has a note of unfinished work, a bare except or an empty stub."""
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK)\b", module.text)
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None
        if isinstance(node, ast.Raise) and node.exc is not None:
            assert "NotImplementedError" not in ast.unparse(node.exc)


@every_module
def test_input_is_not_checked_by_assert(module: Module) -> None:
    """No check vanishes when Python runs with -O."""
    assert not any(isinstance(node, ast.Assert) for node in ast.walk(module.tree))
