"""How the documentation becomes a site: ``make docs``.

The sources are the Markdown files of the repository, under the paths that they have there, so that
their links hold in both places.
"""

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
