"""What a registry's configuration file says about tokens, for comparison with the tokens of its server.

Only ``auth.token`` is read (distribution ``docs/content/about/configuration.md``), and the variables that
overrule it (``REGISTRY_AUTH_TOKEN_…``).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from regdoctor.facts.auth import TokenSettings

_MAX_FILE: Final = 1024 * 1024
_VARIABLE: Final = "REGISTRY_AUTH_TOKEN_"


def read_token_settings(path: Path, environment: Mapping[str, str]) -> TokenSettings | None:
    """Read ``auth.token`` of a configuration file; None where it has none or cannot be read.

    ``environment`` is that of the registry process. Keys are read from ``rootcertbundle`` where this host
    has that file.
    """
    section = _section(path)
    for name in ("realm", "service", "issuer", "rootcertbundle"):
        value = environment.get(f"{_VARIABLE}{name.upper()}")
        if value is not None:
            section = {**(section or {}), name: value}
    if section is None:
        return None
    bundle = _text(section, "rootcertbundle")
    key_ids, problem = _key_ids(Path(bundle)) if bundle else ((), None)
    return TokenSettings(
        source=str(path),
        realm=_text(section, "realm"),
        service=_text(section, "service"),
        issuer=_text(section, "issuer"),
        key_ids=key_ids,
        bundle=bundle,
        bundle_problem=problem,
    )


def read_variables(path: Path) -> dict[str, str]:
    """Read the variables of a file of ``NAME=value`` lines that concern tokens (``docker run --env-file``)."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            lines = file.read(_MAX_FILE).splitlines()
    except OSError:
        return {}
    pairs = (line.strip().partition("=") for line in lines)
    return {name: value for name, equals, value in pairs if equals and name.startswith(_VARIABLE)}


def _section(path: Path) -> dict[str, Any] | None:
    import yaml

    try:
        with path.open("rb") as file:
            document = yaml.safe_load(file.read(_MAX_FILE))
    except (OSError, yaml.YAMLError, RecursionError):
        return None
    auth = document.get("auth") if isinstance(document, dict) else None
    section = auth.get("token") if isinstance(auth, dict) else None
    return section if isinstance(section, dict) else None


def _text(section: Mapping[str, Any], name: str) -> str | None:
    value = section.get(name)
    return str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else None


def _key_ids(bundle: Path) -> tuple[tuple[str, ...], str | None]:
    """Every id of every key in a file of PEM certificates, and why there is none."""
    from cryptography import x509

    from regdoctor.certificates import pem_certificates
    from regdoctor.oci.token import key_ids

    try:
        with bundle.open("rb") as file:
            found = pem_certificates(file.read(_MAX_FILE))
    except OSError as error:
        return (), f"{bundle} cannot be read here: {error.strerror or error}"
    ids: list[str] = []
    for der in found:
        try:
            ids.extend(sorted(key_ids(x509.load_der_x509_certificate(der).public_key()).all))
        except ValueError:
            continue
    return tuple(dict.fromkeys(ids)), None if ids else f"{bundle} holds no certificate of a usable key"
