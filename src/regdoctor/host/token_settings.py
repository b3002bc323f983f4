"""What a registry's own configuration says about tokens, for comparison with the tokens of its server.

The keys are those of ``auth.token`` (distribution ``docs/content/about/configuration.md``); variables named
``REGISTRY_AUTH_TOKEN_…`` overrule the file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from regdoctor.facts.auth import TokenSettings
from regdoctor.facts.config import ConfigFile
from regdoctor.host import registry_environment

_MAX_FILE: Final = 1024 * 1024
_VARIABLE: Final = "REGISTRY_AUTH_TOKEN_"


def token_settings(config: ConfigFile, variables: Mapping[str, str]) -> TokenSettings | None:
    """Take what concerns tokens out of a configuration; None where it sets up no token server.

    ``variables`` are the registry process's. Keys are read from ``rootcertbundle`` and ``jwks`` where this host
    has those files.
    """

    def value(name: str) -> str | None:
        overruled = variables.get(f"{_VARIABLE}{name.upper()}")
        return overruled if overruled is not None else config.text("auth", "token", name)

    names = ("issuer", "service", "realm", "rootcertbundle", "jwks")
    issuer, service, realm, bundle, jwks = map(value, names)
    if issuer is None and service is None and realm is None:
        return None
    key_ids, problem = _key_ids(Path(bundle)) if bundle else ((), None)
    set_ids, set_problem = _set_ids(Path(jwks)) if jwks else ((), None)
    return TokenSettings(
        source=config.path,
        realm=realm,
        service=service,
        issuer=issuer,
        key_ids=tuple(dict.fromkeys((*key_ids, *set_ids))),
        bundle=bundle,
        bundle_problem=problem,
        jwks=jwks,
        jwks_problem=set_problem,
    )


def read_variables(path: Path) -> dict[str, str]:
    """Read the variables of the registry's environment that concern tokens (see ``registry_environment``)."""
    return registry_environment.read_variables(path, _VARIABLE)


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


def _set_ids(file: Path) -> tuple[tuple[str, ...], str | None]:
    """The ``kid`` of every key in a JSON Web Key Set (RFC 7517 section 5), and why there is none."""
    try:
        with file.open("rb") as opened:
            document = json.loads(opened.read(_MAX_FILE))
    except OSError as error:
        return (), f"{file} cannot be read here: {error.strerror or error}"
    except (ValueError, RecursionError):
        return (), f"{file} is not JSON"
    keys = document.get("keys") if isinstance(document, dict) else None
    ids = [key.get("kid") for key in (keys if isinstance(keys, list) else ()) if isinstance(key, dict)]
    named = tuple(each for each in ids if isinstance(each, str) and each)
    return named, None if named else f"{file} holds no key with a kid"
