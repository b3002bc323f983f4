"""regdoctor: diagnoses container image registries."""

__all__ = ["__version__"]

__version__ = "0.1.0"
