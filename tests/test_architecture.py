"""The house: which part may know which, what each promises, and how it is kept readable."""

from __future__ import annotations

import ast
import copy
import pickle
import re
import sys
import tomllib
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path

import pytest

from catalog.descriptors import CatalogError, PictureError, errors

ROOT = Path(__file__).resolve().parent.parent

FOLDERS = {
    "catalog.machine": "machine",
    "catalog.descriptors": "descriptors",
    "catalog.data": "data",
    "catalog.embedder": "embedder",
    "catalog.index": "index",
    "catalog.head": "head",
    "catalog": "catalog",
    "catalog.cli": "cli",
}
"""Each package that has a folder at the top of the checkout, and that folder."""

_LEAVES = {"catalog.machine", "catalog.descriptors"}
_BESIDE = {*_LEAVES, "catalog.data", "catalog.embedder", "catalog.index", "catalog.head"}
_BELOW = {
    *_BESIDE,
    *("catalog.manifest", "catalog.pictures"),
    *("catalog.store", "catalog.judging", "catalog.learning"),
}
_CALLS = {
    "catalog.answers",
    "catalog.changes",
    "catalog.questions",
    "catalog.reports",
    "catalog.care",
}
MAY_IMPORT: dict[str, set[str]] = {
    "catalog.machine": set(),
    "catalog.descriptors": set(),
    "catalog.data": {"catalog.descriptors"},
    "catalog.embedder": {*_LEAVES, "catalog.data"},
    "catalog.index": {"catalog.descriptors"},
    "catalog.head": {"catalog.descriptors"},
    "catalog.manifest": {"catalog.descriptors", "catalog.embedder"},
    "catalog.pictures": {"catalog.descriptors", "catalog.embedder"},
    "catalog.store": {"catalog.descriptors", "catalog.data", "catalog.embedder", "catalog.head"},
    "catalog.judging": {"catalog.descriptors", "catalog.head", "catalog.index"},
    "catalog.learning": _BELOW - {"catalog.learning"},
    "catalog.answers": _BELOW,
    "catalog.changes": {*_BELOW, "catalog.answers"},
    "catalog.questions": {*_BELOW, "catalog.answers", "catalog.changes"},
    "catalog.reports": {*_BELOW, "catalog.answers"},
    "catalog.care": _BELOW,
    "catalog.catalog": {*_BELOW, *_CALLS},
    "catalog": {*_BELOW, *_CALLS, "catalog.catalog"},
    "catalog.cli": {
        *(*_LEAVES, "catalog.data", "catalog.embedder"),
        *("catalog", "catalog.manifest", "catalog.reports", "catalog.care"),
    },
}
"""Each part of the house, the lowest first, and the others it may import."""

MOST_PARTS = 14
"""Folders and modules of its own that `catalog` may have."""

ENTRY = "catalog.__main__"
"""``python -m catalog``, which leads to the command."""

ONLY_IN = {
    "cv2": {"catalog.embedder", "catalog.data", "catalog.cli.demo"},
    "ai_edge_litert": {"catalog.embedder"},
    "tensorflow": {"catalog.embedder.export"},
    "tensorflow_hub": {"catalog.embedder.export"},
    "keras": {"catalog.embedder.export", "catalog.head.document", "catalog.head.gan"},
    "matplotlib": {"catalog.reports.figures", "catalog.reports.figure_output"},
    "faiss": {"catalog.index"},
    "sqlite3": {"catalog.store", "catalog.machine", "catalog.cli.completion"},
    "jinja2": {"catalog.reports"},
    "pyarrow": {"catalog.care.export"},
    "typer": {"catalog.cli"},
    "rich": {"catalog.cli"},
}
"""Libraries, and the packages or modules that alone may import them."""

EXPORTS = {
    "catalog": [
        "Added",
        "Audit",
        "AuditReport",
        "BackboneError",
        "Backup",
        "Box",
        "Candidate",
        "Catalog",
        "CatalogError",
        "Compacted",
        "Conflict",
        "CrossCheckResult",
        "Curves",
        "Damaged",
        "EmbedderMismatch",
        "Entry",
        "Evaluation",
        "Event",
        "Exported",
        "Feedback",
        "Forgotten",
        "HeadTraining",
        "Imported",
        "Info",
        "InvalidInput",
        "InvalidLabel",
        "Item",
        "LabelConflict",
        "LabelCount",
        "Listing",
        "Locked",
        "Moved",
        "Neighbour",
        "NewerFormat",
        "NoSpace",
        "NotFound",
        "Picture",
        "PictureError",
        "Prediction",
        "Preview",
        "Progress",
        "ProposedClass",
        "Refusal",
        "Removed",
        "Renamed",
        "Share",
        "Superseded",
        "Trained",
        "TrainingProgress",
        "Verdict",
        "VerdictCount",
        "Verification",
        "find_pictures",
        "read_manifest",
        "take_part",
    ],
    "catalog.cli": [],
    "catalog.data": ["prior_for"],
    "catalog.descriptors": [
        "FORMAT",
        "SCALE",
        "WHITENING_RULE",
        "BackboneError",
        "CatalogError",
        "Conflict",
        "Damaged",
        "EmbedderMismatch",
        "InvalidInput",
        "InvalidLabel",
        "LabelConflict",
        "Locked",
        "Metric",
        "NewerFormat",
        "NoSpace",
        "NotFound",
        "PictureError",
        "Prior",
        "RefusalReason",
        "Sums",
        "Superseded",
        "class_means",
        "fit",
        "from_bytes",
        "read_arrays",
        "to_bytes",
        "to_floats",
        "to_integers",
        "unit_rows",
    ],
    "catalog.embedder": [
        "DEFAULT_PRESET",
        "PRESETS",
        "Box",
        "Embedder",
        "MobileNetEmbedder",
        "Picture",
        "Source",
        "Specification",
        "as_picture",
        "content_hash",
        "libraries",
        "load",
        "preset_name",
        "read_picture",
        "thumbnail",
    ],
    "catalog.head": [
        "EXACT_RULE",
        "Curves",
        "GanOptions",
        "Generator",
        "Head",
        "Replay",
        "Start",
        "TrainingOptions",
        "count_batches",
        "draw_classes",
        "draw_gaussian",
        "softmax",
        "solve",
        "spreads",
        "train",
        "train_gan",
        "widen",
        "widen_frozen",
        "widen_generator",
    ],
    "catalog.index": [
        "RENEW_ROWS",
        "FlatIndex",
        "Index",
        "ItemIndex",
        "centroids",
        "near_duplicate_groups",
        "typical_stranger_cosine",
    ],
    "catalog.machine": ["IMPORTS", "Check", "State", "examine", "model_cache"],
}
"""What each package promises; a change here is a change that users see."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def tops(names: set[str]) -> set[str]:
    """The top-level packages of modules."""
    return {name.partition(".")[0] for name in names}


def part_of(name: str) -> str:
    """The part of the house that a module belongs to; empty for modules of others."""
    owners = [part for part in MAY_IMPORT if f"{name}.".startswith(f"{part}.")]
    return max(owners, key=len, default="")


@dataclass(frozen=True)
class Module:
    """A module of the project, as it is written."""

    name: str
    file: Path

    @property
    def part(self) -> str:
        """The part of the house that it belongs to."""
        return part_of(self.name)

    @cached_property
    def text(self) -> str:
        """The source."""
        return self.file.read_text()

    @cached_property
    def tree(self) -> ast.Module:
        """The parsed source."""
        return ast.parse(self.text)

    @cached_property
    def imports(self) -> set[str]:
        """Every module that is imported, at the top, in a function or for type checking alone."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name} has a relative import"
                assert node.module is not None
                found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        return found

    @property
    def used(self) -> set[str]:
        """The modules of ours that are imported, be it by name or for something in them."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names = {f"{node.module}.{alias.name}" for alias in node.names}
                found |= {name if name in MODULES else str(node.module) for name in names}
        return found & set(MODULES)

    @property
    def definitions(self) -> Iterator[tuple[str, str | None]]:
        """Names that are defined at the top, each with its docstring."""
        following = [*self.tree.body[1:], None]
        for node, after in zip(self.tree.body, following, strict=True):
            if isinstance(node, (*FUNCTIONS, ast.ClassDef)):
                yield node.name, ast.get_docstring(node)
            elif isinstance(node, ast.Assign | ast.AnnAssign):
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                documented = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
                for target in targets:
                    if isinstance(target, ast.Name):
                        yield target.id, str(after.value.value) if documented else None

    @property
    def exported(self) -> dict[str, tuple[str, str]]:
        """Names that are imported from elsewhere in the project: the module and the name there."""
        return {
            alias.asname or alias.name: (node.module, alias.name)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module is not None
            for alias in node.names
            if tops({node.module}) == {"catalog"}
        }


def modules() -> dict[str, Module]:
    """Every module that is installed, by name."""
    found = {}
    for package, folder in FOLDERS.items():
        for file in sorted((ROOT / folder).rglob("*.py")):
            parts = file.relative_to(ROOT / folder).with_suffix("").parts
            name = ".".join([package, *(parts[:-1] if parts[-1] == "__init__" else parts)])
            found[name] = Module(name, file)
    return found


MODULES = modules()
every_module = pytest.mark.parametrize("module", MODULES.values(), ids=MODULES.keys())
every_package = pytest.mark.parametrize("package", FOLDERS)


# --- who may know whom ---------------------------------------------------------------------------


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


# --- what is promised ----------------------------------------------------------------------------


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


# --- the tree of errors --------------------------------------------------------------------------


def drawn_tree() -> dict[str, tuple[str | None, int, int]]:
    """Read the drawing in the docstring: each error's parent, exit code and HTTP status."""
    line_form = re.compile(r"^ {4}((?:[|` ] {3}|[|`]-- )*)(\w+) +exit (\d+) +(\d+)", re.MULTILINE)
    found: dict[str, tuple[str | None, int, int]] = {}
    path: list[str] = []
    for indent, name, code, status in line_form.findall(errors.__doc__ or ""):
        depth = len(indent) // 4
        path[depth:] = [name]
        assert name not in found, f"{name} is drawn twice"
        found[name] = (path[depth - 1] if depth else None, int(code), int(status))
    return found


def real_tree(
    error: type[CatalogError], parent: str | None = None
) -> Iterator[tuple[str, tuple[str | None, int, int]]]:
    """Each error that there is, with its parent, exit code and HTTP status."""
    yield error.__name__, (parent, error.exit_code, error.http_status)
    for child in error.__subclasses__():
        yield from real_tree(child, error.__name__)


def test_the_tree_of_errors_is_as_drawn() -> None:
    """The drawing shows every error under its parent, with its real exit code and HTTP status."""
    for module in set(MODULES) - {ENTRY}:
        import_module(module)
    assert drawn_tree() == dict(real_tree(CatalogError))


def test_errors_are_defined_in_one_place() -> None:
    """A public exception is one of the tree, and the tree is in one module."""
    for module in MODULES.values():
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bases = {ast.unparse(base) for base in node.bases}
                raised = bases & {"Exception", "BaseException", *drawn_tree()} or {
                    base for base in bases if base.endswith("Error")
                }
                assert not raised or module.name == "catalog.descriptors.errors", node.name


def test_every_error_is_exported() -> None:
    """Whatever the project raises can be caught by name from the package all may import."""
    assert set(drawn_tree()) <= set(EXPORTS["catalog.descriptors"])


def everything_raised() -> Iterator[CatalogError]:
    """One of each error of the tree, as it is raised."""
    pending: list[type[CatalogError]] = [CatalogError]
    while pending:
        error = pending.pop()
        pending += error.__subclasses__()
        if error is PictureError:
            yield PictureError("truncated", "it ends within its header", "a.jpg")
            yield PictureError("empty", "there are no bytes")
        else:
            yield error("there is no such thing")


def passed_on(error: CatalogError) -> None:
    """Fail, as a process of a pool does."""
    raise error


@pytest.mark.parametrize("error", list(everything_raised()), ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(
    "again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_errors_can_be_copied(
    error: CatalogError, again: Callable[[CatalogError], CatalogError]
) -> None:
    """An error that is copied or pickled is of the same kind, and says the same."""
    error.add_note("while it was imported")
    other = again(error)
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)


def test_errors_come_out_of_a_process() -> None:
    """An error raised in a process of a pool is raised for who waits for it."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        for error in everything_raised():
            with pytest.raises(type(error), match=re.escape(str(error))):
                pool.submit(passed_on, error).result()


# --- how it is kept readable ---------------------------------------------------------------------


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
