"""Similar: which performances of a folder are like another, where in each, and a map of them."""

from __future__ import annotations

from espressivo.similar.index import INDEX_NAME, Index, update
from espressivo.similar.map import MapPoint, laid_out, map_page
from espressivo.similar.searching import Match, Similar, search

__all__ = [
    "INDEX_NAME",
    "Index",
    "MapPoint",
    "Match",
    "Similar",
    "laid_out",
    "map_page",
    "search",
    "update",
]
