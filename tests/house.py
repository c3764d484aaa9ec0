"""The house as tests see it: its modules, what they import, and what each package promises."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FOLDERS = {
    "catalog.machine": "machine",
    "catalog.descriptors": "descriptors",
    "catalog.data": "data",
    "catalog.embedder": "embedder",
    "catalog.index": "index",
    "catalog.head": "head",
    "catalog": "catalog",
    "catalog.service": "service",
    "catalog.cli": "cli",
}
"""Each package that has a folder at the top of the checkout, and that folder."""

_LEAVES = {"catalog.machine", "catalog.descriptors", "catalog.text"}
_BESIDE = {*_LEAVES, "catalog.data", "catalog.embedder", "catalog.index", "catalog.head"}
_BELOW = {
    *_BESIDE,
    "catalog.manifest",
    *("catalog.store", "catalog.judging", "catalog.learning"),
}
_CALLS = {
    "catalog.answers",
    "catalog.changes",
    "catalog.jobs",
    "catalog.questions",
    "catalog.reports",
    "catalog.care",
}
MAY_IMPORT: dict[str, set[str]] = {
    "catalog.machine": set(),
    "catalog.descriptors": set(),
    "catalog.text": set(),
    "catalog.data": {"catalog.descriptors"},
    "catalog.embedder": {*_LEAVES, "catalog.data"},
    "catalog.index": {"catalog.descriptors"},
    "catalog.head": {"catalog.descriptors"},
    "catalog.manifest": {*_LEAVES, "catalog.embedder"},
    "catalog.store": {
        *("catalog.machine", "catalog.descriptors", "catalog.text"),
        *("catalog.data", "catalog.embedder", "catalog.head"),
    },
    "catalog.judging": {"catalog.descriptors", "catalog.head", "catalog.index"},
    "catalog.learning": _BELOW - {"catalog.learning"},
    "catalog.answers": _BELOW,
    "catalog.changes": {*_BELOW, "catalog.answers"},
    "catalog.questions": {*_BELOW, "catalog.answers", "catalog.changes"},
    "catalog.reports": {*_BELOW, "catalog.answers"},
    "catalog.jobs": {*_BELOW, "catalog.answers", "catalog.changes", "catalog.reports"},
    "catalog.care": _BELOW,
    "catalog.catalog": {*_BELOW, *_CALLS},
    "catalog": {*_BELOW, *_CALLS, "catalog.catalog"},
    "catalog.service": {
        *(*_LEAVES, "catalog.embedder", "catalog.manifest"),
        *("catalog", "catalog.questions", "catalog.reports"),
    },
    "catalog.cli": {
        *("catalog.service", *_LEAVES, "catalog.data", "catalog.embedder"),
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
    "PIL": {"catalog.embedder.decode"},
    "pi_heif": {"catalog.embedder.decode"},
    "ai_edge_litert": {"catalog.embedder"},
    "tensorflow": {"catalog.embedder.export"},
    "tensorflow_hub": {"catalog.embedder.export"},
    "keras": {"catalog.embedder.export", "catalog.head.document", "catalog.head.gan"},
    "matplotlib": {"catalog.reports.figures", "catalog.reports.figure_output"},
    "faiss": {"catalog.index"},
    "sqlite3": {"catalog.store", "catalog.machine", "catalog.cli.completion"},
    "jinja2": {"catalog.reports"},
    "pyarrow": {"catalog.care.export"},
    "fastapi": {"catalog.service"},
    "starlette": {"catalog.service"},
    "pydantic": {"catalog.service", "catalog.cli.mcp_arguments"},
    "uvicorn": {"catalog.service"},
    "prometheus_client": {"catalog.service"},
    "mcp": {"catalog.cli.mcp_server"},
    "mcp_types": set(),
    "anyio": {"catalog.cli.mcp_server"},
    "typer": {"catalog.cli"},
    "rich": {"catalog.cli"},
}
"""Libraries, and the packages or modules that alone may import them."""

EXPORTS = {
    "catalog": [
        "Added",
        "Advice",
        "Audit",
        "AuditReport",
        "BackboneError",
        "Backup",
        "BadRow",
        "Box",
        "ByHand",
        "Cancelled",
        "Candidate",
        "Catalog",
        "CatalogError",
        "Coming",
        "Compacted",
        "Compared",
        "ComparedAnswer",
        "ComparedEmbedder",
        "Conflict",
        "CrossCheckResult",
        "Curves",
        "Damaged",
        "Drift",
        "DroppedEmbedder",
        "EmbedderMismatch",
        "Entry",
        "Evaluation",
        "Event",
        "Exported",
        "Feedback",
        "Flip",
        "Forgotten",
        "ForgottenPlaces",
        "Gone",
        "HeadTraining",
        "Imported",
        "Info",
        "InvalidInput",
        "InvalidLabel",
        "Item",
        "Job",
        "JobProgress",
        "LabelConflict",
        "LabelCount",
        "Listing",
        "Locked",
        "Moved",
        "Neighbour",
        "NewerFormat",
        "NoSpace",
        "NotFound",
        "OtherEmbedder",
        "PassedOver",
        "Picture",
        "PictureError",
        "Prediction",
        "Preview",
        "Progress",
        "Promoted",
        "ProposedClass",
        "Refusal",
        "Reindexed",
        "Removed",
        "Renamed",
        "Rise",
        "Share",
        "Superseded",
        "Switched",
        "Synced",
        "Trained",
        "TrainingProgress",
        "Unreadable",
        "Verdict",
        "VerdictCount",
        "Verification",
        "find_pictures",
        "read_manifest",
        "take_part",
    ],
    "catalog.cli": [],
    "catalog.data": ["prior_for", "projection_for", "projection_named"],
    "catalog.descriptors": [
        "BLOCK_ROWS",
        "FORMAT",
        "SCALE",
        "WHITENING_RULE",
        "Advice",
        "BackboneError",
        "Cancelled",
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
        "Projection",
        "Projector",
        "RefusalReason",
        "Sums",
        "Superseded",
        "Switched",
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
        "DESCRIPTORS",
        "PRESETS",
        "Box",
        "Embedder",
        "EmbedderApart",
        "IsolatedDecoder",
        "Isolation",
        "MobileNetEmbedder",
        "Picture",
        "Shot",
        "Source",
        "Specification",
        "Thumbnails",
        "as_picture",
        "content_hash",
        "descriptor_name",
        "is_picture",
        "libraries",
        "load",
        "preset_name",
        "read_picture",
        "shot_of",
        "thumbnail",
    ],
    "catalog.head": [
        "EXACT_RULE",
        "Blocks",
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
        "solve_blocks",
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
    "catalog.service": [],
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
