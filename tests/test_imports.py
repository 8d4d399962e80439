"""Imports between product files point one way."""

import ast
import importlib

import pytest
from conftest import PRODUCT_FILES, ROOT, get_module

# Each layer imports layers below it only. A package is one layer.
LAYERS = (
    ("predict",),
    ("mnist_estimator",),
    ("model", "inputs"),
    ("hooks",),
    ("summaries", "handwriting", "command_line"),
    ("contrib",),
    ("tf_estimator",),
)
MODULES = {get_module(path): path for path in PRODUCT_FILES}


def get_layer(module):
    [layer] = [i for i, names in enumerate(LAYERS) if module.partition(".")[0] in names]
    return layer


def get_imports(module):
    """The product modules that a module imports anywhere in its file."""
    tree, found = ast.parse(MODULES[module].read_text(encoding="utf-8")), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_layers_below_it_or_its_own_package(module):
    package = module.partition(".")[0]
    for imported in get_imports(module):
        is_own = imported.partition(".")[0] == package
        assert get_layer(imported) > get_layer(module) or is_own, imported


def test_no_module_imports_itself_by_way_of_others():
    imports, order = {module: get_imports(module) for module in MODULES}, []
    while imports:
        free = [module for module in imports if not imports[module] & imports.keys()]
        assert free, f"a circle among {sorted(imports)}"
        order += free
        for module in free:
            del imports[module]
    assert len(order) == len(PRODUCT_FILES) >= 20


@pytest.mark.parametrize("path", (ROOT / "benchmarks").glob("*.py"), ids=lambda path: path.name)
def test_a_benchmark_imports_names_that_the_product_has(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module in MODULES:
            module = importlib.import_module(node.module)
            assert all(hasattr(module, alias.name) for alias in node.names)
