"""The version of the package, by which everything that it writes says what made it."""

__all__ = ["__version__"]

__version__ = "0.9.0"
