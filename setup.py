"""Maps the checks and the report templates, which live beside ``src``, into the package.

setuptools reads ``package_dir`` only from here: a mapped sub-package tree needs ``find_packages``.
"""

from setuptools import find_packages, setup

CHECKS = ["regdoctor.checks", *(f"regdoctor.checks.{name}" for name in find_packages("checks"))]

setup(
    packages=[*find_packages("src"), *CHECKS, "regdoctor.templates"],
    package_dir={"": "src", "regdoctor.checks": "checks", "regdoctor.templates": "reports/templates"},
    package_data={
        "regdoctor": ["py.typed", "report/*.json", "registry_config/*.toml"],
        "regdoctor.checks": ["*.toml", "*/*.toml"],
        "regdoctor.templates": ["*.j2", "*.css"],
    },
)
