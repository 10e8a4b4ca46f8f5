"""How the documentation becomes a site: ``make docs``.

The sources are the Markdown files of the repository, under the paths that they have there, so that
their links hold in both places.
"""

import ast
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from espressivo.version import __version__

project = "espressivo"
author = "the espressivo authors"
copyright = f"2026, {author}"
version = release = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = [
    "docs/**",
    "MODEL_CARD.md",
    "CHANGELOG.md",
    "LOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
]
exclude_patterns = ["docs/evaluation/**"]
nitpicky = False
default_role = "code"

myst_heading_anchors = 3
myst_enable_extensions = ["colon_fence"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"espressivo {release}"


def docstring(module, name):
    """Return the docstring of a constant, "" if it has none, or None if it is no constant."""
    tree = ast.parse(Path(find_spec(module).origin).read_text(encoding="utf-8"))
    for node, after in zip(tree.body, [*tree.body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.ImportFrom) and name in [each.name for each in node.names]:
            return docstring(node.module, name)
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = [each for target in targets for each in ast.walk(target)]
            if name in [each.id for each in names if isinstance(each, ast.Name)]:
                literal = after.value if isinstance(after, ast.Expr) else None
                return literal.value if isinstance(literal, ast.Constant) else ""
    return None


def constants(module):
    """Return the constants that a module offers, each with its docstring."""
    told = {name: docstring(module, name) for name in import_module(module).__all__}
    return {name: text for name, text in told.items() if text is not None}


def rooms():
    """Return the rooms that have a page of the reference."""
    pages = Path(__file__).parent.glob("reference/*.md")
    return sorted(f"espressivo.{page.stem}" for page in pages if page.stem != "index")


def setup(app):
    """Let the faces of rooms have the docstrings of constants, which Sphinx reads only at home."""
    from sphinx.pycode import ModuleAnalyzer

    for room in rooms():
        face = ModuleAnalyzer.for_module(room)
        face.analyze()
        for name, text in constants(room).items():
            face.attr_docs["", name] = [*text.splitlines(), ""]
