"""The arrows of the house: which package may import which."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "mixsd.core": set(),
    "mixsd.lm": {"mixsd.core"},
    "mixsd.methods": {"mixsd.core", "mixsd.lm"},
    "mixsd.mixing": {"mixsd.core", "mixsd.lm", "mixsd.methods"},
    "mixsd.results": {"mixsd.core"},
    "mixsd.trackers": {"mixsd.core"},
    "baselines": {"mixsd.core", "mixsd.lm", "mixsd.methods", "mixsd.mixing"},
    "benchmarks.tasks": {"mixsd.core", "benchmarks.user_tables"},
    "benchmarks.user_tables": {"mixsd.core"},
    "benchmarks.heldout": {"mixsd.core", "mixsd.lm", "benchmarks.user_tables"},
    "mixsd.run": {
        "mixsd.core",
        "mixsd.lm",
        "mixsd.methods",
        "mixsd.mixing",
        "mixsd.results",
        "mixsd.trackers",
    },
    "mixsd.cli": {"mixsd.core", "mixsd.results", "mixsd.trackers", "mixsd.run", "mixsd.lm"},
}
"""By package: the packages of ours that it may import. What is not named here drives all of them."""
NEVER = {
    "mixsd.core": ("torch", "transformers", "hydra"),
    "mixsd.results": ("torch", "transformers", "hydra"),
}
ABOVE_ALL = ("mixsd.__main__", "benchmarks.speed", "benchmarks.studies", "run", "tests")


def imports(path: Path) -> set[str]:
    """Modules that a file imports, those inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def is_relative(path: Path) -> bool:
    """Whether a file says from where it imports by dots, which the arrows would not see."""
    tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return any(isinstance(node, ast.ImportFrom) and node.level for node in tree)


def package_of(module: str) -> str:
    """The package of ours that a module belongs to, or ''."""
    return next((name for name in MAY_IMPORT if module == name or module.startswith(f"{name}.")), "")


FILES = [p for top in ("mixsd", "baselines", "benchmarks") for p in sorted((ROOT / top).rglob("*.py"))]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def test_every_file_has_its_place():
    packages = {"mixsd.__init__", "benchmarks.__init__"}
    placed = [p for p in FILES if package_of(module_of(p)) or module_of(p).startswith(ABOVE_ALL)]
    assert {module_of(p) for p in FILES} - {module_of(p) for p in placed} == packages
    assert not any(map(is_relative, FILES))
    for path in (ROOT / "mixsd/__init__.py", ROOT / "benchmarks/__init__.py"):
        assert not imports(path), "an import there would be one of every package"


@pytest.mark.parametrize("name", MAY_IMPORT)
def test_arrows_run_one_way(name):
    wrong = []
    for path in (p for p in FILES if package_of(module_of(p)) == name):
        for module in imports(path):
            ours = module.split(".")[0] in ("mixsd", "baselines", "benchmarks", "tests")
            allowed = {name, *MAY_IMPORT[name]} | ({""} if module == "mixsd.__version__" else set())
            if (ours and package_of(module) not in allowed) or module.split(".")[0] in NEVER.get(name, ()):
                wrong.append(f"{path.relative_to(ROOT)} imports {module}")
    assert not wrong


def test_there_are_no_circles_between_packages():
    order: list[str] = []
    while len(order) < len(MAY_IMPORT):
        free = [n for n, below in MAY_IMPORT.items() if n not in order and below <= set(order)]
        assert free, f"a circle among {set(MAY_IMPORT) - set(order)}"
        order += free


def test_no_test_imports_a_test():
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for module in imports(path)
        if module.startswith("tests.") and any(part.startswith("test_") for part in module.split(".")[1:-1])
    ]
    assert not wrong
