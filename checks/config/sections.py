"""What the sections of a configuration need, and what does not go together in them. Pure."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from urllib.parse import urlsplit

from regdoctor.api import (
    Certainty,
    ConfigEntry,
    ConfigFile,
    Draft,
    EffectiveConfiguration,
    Severity,
    near,
    registry_values,
)
from regdoctor.checks.config.keys import moving, places_of
from regdoctor.checks.config.wording import STARTS_NOT, about, joined, shown, stops, variable, where

RESERVED = frozenset({"maintenance", "cache", "delete", "redirect"})
DRIVERS = {
    "2.8": frozenset({"filesystem", "inmemory", "s3", "s3aws", "gcs", "azure", "swift", "oss"}),
    "3": frozenset({"filesystem", "inmemory", "s3", "s3aws", "gcs", "azure"}),
}
METHODS = frozenset({"silly", "token", "htpasswd"})
MIDDLEWARE = {
    "2.8": frozenset({"cloudfront", "redirect"}),
    "3": frozenset({"cloudfront", "redirect", "rewrite"}),
}
_REQUIRED = {
    "s3": ("region", "bucket"),
    "s3aws": ("region", "bucket"),
    "gcs": ("bucket",),
    "azure": ("accountname", "accountkey", "container"),
    "swift": ("username", "password", "authurl", "container"),
    "oss": ("accesskeyid", "accesskeysecret", "region", "bucket"),
}
_METHOD_REQUIRED = {
    "htpasswd": ("realm", "path"),
    "silly": ("realm", "service"),
    "token": ("realm", "issuer", "service"),
}
_OPTIONS_REQUIRED = {"redirect": ("baseurl",), "cloudfront": ("baseurl", "privatekey", "keypairid")}
_SECRETS = frozenset({"accountkey", "password", "accesskeysecret", "accesskeyid"})
_REGION = re.compile(r"[a-z]{2}(?:-[a-z]+)+-\d{1,2}")
"""The form of every region in the AWS SDK's endpoint tables; they are thirty and grow."""
_NO_RE2 = re.compile(r"\(\?(?:=|!|<=|<!|>)|\\[1-9]")
"""Go's RE2 has neither looking around nor backreferences."""


def drivers_of(settings: ConfigFile, versions: frozenset[str]) -> tuple[ConfigEntry, ...]:
    """What the registry takes for storage drivers: all below ``storage`` that has no other meaning."""
    storage = settings.get("storage")
    if storage is not None and storage.value and storage.kind not in ("map", "list", "null"):
        return (storage,)
    reserved = RESERVED | ({"tag"} if "3" in versions else set())
    return tuple(entry for entry in settings.below("storage") if entry.path[-1] not in reserved)


def driver_name(entry: ConfigEntry) -> str:
    """The driver's name: the key, or the value of ``storage: filesystem``."""
    return entry.path[-1] if len(entry.path) > 1 else entry.value or ""


def storage(configuration: EffectiveConfiguration, *, environment_known: bool) -> Iterator[Draft]:
    """The driver, whether there is exactly one, and what it needs."""
    settings, versions = configuration.settings, configuration.versions
    section = settings.get("storage")
    if section is not None and section.kind == "list":
        return
    drivers = drivers_of(settings, versions)
    known = frozenset().union(*(DRIVERS[version] for version in versions))
    if not drivers:
        yield about(
            "config/storage-drivers",
            settings,
            section,
            f"no storage driver is configured{_unless(environment_known, 'REGISTRY_STORAGE')}. "
            f"{stops('no storage configuration provided')}",
            certainty=_certainty(environment_known),
        )
        return
    if len(drivers) > 1:
        yield from _several_drivers(drivers, known, settings)
        return
    (driver,) = drivers
    name = driver_name(driver)
    if driver.kind in ("map", "null") or len(driver.path) == 1:
        if name not in known:
            yield _unsupported(driver, known, settings)
        else:
            yield from _parameters(driver, configuration, environment_known=environment_known)


def _unless(environment_known: bool, name: str) -> str:
    return "" if environment_known else f" (unless the variable {name} does it, which is not known here)"


def _certainty(environment_known: bool) -> Certainty:
    return Certainty.PROVEN if environment_known else Certainty.LIKELY


def _several_drivers(
    drivers: tuple[ConfigEntry, ...], known: frozenset[str], settings: ConfigFile
) -> Iterator[Draft]:
    if any(driver.kind not in ("map", "null") for driver in drivers):
        # The decoder refuses the section before anybody counts.
        return
    names = [driver_name(driver) for driver in drivers]
    from_file = [driver for driver in drivers if driver.variable is None]
    words = (
        "must provide exactly one storage type. Provided:"
        if len(from_file) > 1
        else "multiple storage drivers specified in configuration or environment:"
    )
    strays = [driver for driver in drivers if driver_name(driver) not in known]
    if len(strays) == len(drivers) - 1:
        for stray in strays:
            yield _stray(stray, words, settings)
        return
    added = next((driver for driver in drivers if driver.variable), None)
    remedy = (
        (f"set the driver as a whole: REGISTRY_STORAGE={driver_name(added)}, beside the other variables",)
        if added is not None
        else ()
    )
    yield about(
        "config/storage-drivers",
        settings,
        added or drivers[-1],
        f"storage has {len(names)} drivers, {joined(names, 'and')}, and must have one. {stops(words)}",
        fix=remedy,
    )


def _stray(stray: ConfigEntry, words: str, settings: ConfigFile) -> Draft:
    name = driver_name(stray)
    places = places_of(stray.path, stray.kind, settings)
    guesses = near.near(name, [*RESERVED, "tag", *DRIVERS["2.8"]], 1)
    if places:
        hint = f" {joined('.'.join(place) for place in places)} exists."
    elif name == "tag":
        hint = " Version 3 knows storage.tag, version 2.8 does not."
    else:
        hint = f" Is {guesses[0]} meant?" if guesses else ""
    return about(
        "config/storage-drivers",
        settings,
        stray,
        f"storage.{name} is nothing that the registry knows, so it takes it for a second storage driver.{hint} "
        f"{stops(words)}",
        fix=moving(stray, places),
    )


def _unsupported(driver: ConfigEntry, known: frozenset[str], settings: ConfigFile) -> Draft:
    name = driver_name(driver)
    dropped = name in DRIVERS["2.8"] | DRIVERS["3"]
    guesses = near.near(name, known, 1)
    hint = " Version 3 dropped it." if dropped else f" Is {guesses[0]} meant?" if guesses else ""
    return about(
        "config/driver-unsupported",
        settings,
        driver,
        f"the storage driver {name} does not exist here; there are {joined(sorted(known), 'and')}.{hint} "
        f"{stops(f'StorageDriver not registered: {name}')}",
    )


def _parameters(
    driver: ConfigEntry, configuration: EffectiveConfiguration, *, environment_known: bool
) -> Iterator[Draft]:
    settings, versions = configuration.settings, configuration.versions
    name = driver_name(driver)

    def text(parameter: str) -> str | None:
        return settings.text("storage", name, parameter)

    for parameter in _REQUIRED.get(name, ()):
        if text(parameter):
            continue
        if parameter == "region" and versions != {"2.8"} and text("regionendpoint"):
            continue
        if parameter == "accountkey" and "3" in versions:
            continue
        unless = _unless(environment_known, variable("storage", name, parameter))
        given_late = parameter in _SECRETS and not environment_known
        yield about(
            "config/required-missing",
            settings,
            driver,
            f"storage.{name} has no {parameter}{unless}. {stops(f'no {parameter} parameter provided')}",
            fix=(
                f"add {parameter} below storage.{name}, or set {variable('storage', name, parameter)} in the "
                "registry's environment",
            ),
            # Secrets are usually given as variables.
            certainty=Certainty.POSSIBLE if given_late else _certainty(environment_known),
            severity=Severity.WARNING if given_late else None,
        )
        return
    if (
        name == "azure"
        and versions == {"3"}
        and settings.get("storage", "azure", "credentials", "type") is None
    ):
        yield about(
            "config/required-missing",
            settings,
            driver,
            "storage.azure has no credentials.type, which version 3 needs (shared_key, client_secret or "
            f"default_credentials). {stops('invalid credentials type')}",
            fix=("add storage.azure.credentials.type: shared_key, or as your account wants it",),
        )
    if name in ("s3", "s3aws"):
        yield from _s3(name, configuration)


def _s3(name: str, configuration: EffectiveConfiguration) -> Iterator[Draft]:
    settings = configuration.settings
    region = settings.get("storage", name, "region")
    endpoint = settings.text("storage", name, "regionendpoint")
    if region is not None and region.value and not endpoint and not _REGION.fullmatch(region.value):
        yield about(
            "config/wrong-type",
            settings,
            region,
            f"{region.name} is {shown(region)}, which is no region of AWS; another store needs "
            f"regionendpoint too. {stops(f'invalid region provided: {region.value}')}",
        )
    signing = settings.get("storage", name, "v4auth")
    if signing is not None and not endpoint and signing.value in ("false", "False", "FALSE", "no", "off"):
        yield about(
            "config/wrong-type",
            settings,
            signing,
            f"{signing.name} is {signing.value}, and AWS takes no other signatures. "
            f"{stops('on Amazon S3 this storage driver can only be used with v4 authentication')}",
        )


def options_of_storage(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """What stands beside the driver: deletion, redirection, maintenance."""
    settings = configuration.settings
    enabled = settings.get("storage", "delete", "enabled")
    if enabled is not None and enabled.kind not in ("boolean", "null"):
        yield about(
            "config/wrong-type",
            settings,
            enabled,
            f"{enabled.name} is {shown(enabled)} as a {enabled.kind}. The registry takes everything but a "
            "bare true for false and says nothing: deletion is off.",
            severity=Severity.WARNING,
        )
    redirect = settings.get("storage", "redirect")
    disable = settings.get("storage", "redirect", "disable")
    if (
        redirect is not None
        and redirect.kind in ("map", "null")
        and (disable is None or disable.kind != "boolean")
    ):
        seen = (
            f"storage.redirect.disable is {shown(disable)}" if disable else "storage.redirect has no disable"
        )
        yield about(
            "config/wrong-type" if disable is not None else "config/required-missing",
            settings,
            disable or redirect,
            f"{seen}; true or false is needed, without quotes. {stops('invalid type for redirect config:')}",
        )
    yield from _read_only(settings)
    yield from _purging(settings)


def _read_only(settings: ConfigFile) -> Iterator[Draft]:
    section = settings.get("storage", "maintenance", "readonly")
    enabled = settings.get("storage", "maintenance", "readonly", "enabled")
    if section is not None and section.kind != "map":
        yield about(
            "config/wrong-type",
            settings,
            section,
            f"{section.name} is {shown(section)}, but must have the key enabled below it. "
            f"{stops('readonly config key must contain additional keys')}",
        )
    elif enabled is not None and enabled.kind != "boolean":
        words = "readonly's enabled config key must have a boolean value"
        yield about(
            "config/wrong-type",
            settings,
            enabled,
            f"{enabled.name} is {shown(enabled)}, but must be true or false, without quotes. {stops(words)}",
        )


_PURGING = {"age": "168h", "interval": "24h", "dryrun": "false"}
"""What the registry does by default (distribution ``registry/handlers/app.go``)."""


def _purging(settings: ConfigFile) -> Iterator[Draft]:
    path = ("storage", "maintenance", "uploadpurging")
    section = settings.get(*path)
    if section is None:
        return
    if section.kind != "map":
        yield about(
            "config/wrong-type",
            settings,
            section,
            f"{section.name} is {shown(section)}, but must have keys below it. "
            f"{stops('uploadpurging config key must contain additional keys')}",
        )
        return
    enabled = settings.get(*path, "enabled")
    if enabled is not None and enabled.kind == "boolean" and (enabled.value or "").lower() in _OFF:
        return
    for name in ("age", "interval", "dryrun"):
        entry = settings.get(*path, name)
        prefix = "Unable to parse upload purge configuration: "
        if entry is None:
            yield about(
                "config/required-missing",
                settings,
                section,
                f"{section.name} has no {name}. With this section given and not switched off, age, interval "
                f"and dryrun are all needed. {stops(f'{prefix}{name} missing')}",
                fix=(f"add {section.name}.{name}: {_PURGING[name]}, or switch it off with enabled: false",),
            )
        elif name == "dryrun":
            if entry.kind == "boolean":
                continue
            yield about(
                "config/wrong-type",
                settings,
                entry,
                f"{entry.name} is {shown(entry)}, but must be true or false, without quotes. "
                f"{stops(f'{prefix}cannot parse dryrun')}",
            )
        elif entry.kind != "string" or not registry_values.is_duration(entry.value or ""):
            words = f"{name} is not a string" if entry.kind != "string" else f"annot parse {name}"
            yield about(
                "config/wrong-type",
                settings,
                entry,
                f"{entry.name} is {shown(entry)}, but must be a duration such as 168h; days do not exist. "
                f"{stops(prefix.rstrip() + ' …' + words if entry.kind == 'string' else prefix + words)}",
            )
        else:
            continue
        return


_OFF = frozenset({"n", "no", "false", "off"})


def cache(configuration: EffectiveConfiguration, *, environment_known: bool) -> Iterator[Draft]:
    """The cache of blob descriptors."""
    settings, versions = configuration.settings, configuration.versions
    entry = settings.get("storage", "cache", "blobdescriptor") or settings.get(
        "storage", "cache", "layerinfo"
    )
    if entry is None:
        return
    if entry.value == "redis" and entry.kind == "string":
        keys = [name for version, name in (("2.8", "addr"), ("3", "addrs")) if version in versions]
        if any(_filled(settings, "redis", name) for name in keys):
            return
        needed = joined(f"redis.{name}" for name in keys)
        unless = _unless(environment_known, variable("redis", keys[0]))
        yield about(
            "config/required-missing",
            settings,
            entry,
            f"the cache is to be in redis, but {needed} is not set{unless}. "
            f"{stops('redis configuration required to use for layerinfo cache')}",
            fix=(f"add {needed} with redis' host:port, or write {entry.name}: inmemory",),
            certainty=_certainty(environment_known),
        )
    elif entry.value != "inmemory" and not (entry.kind == "string" and entry.value == ""):
        yield about(
            "config/wrong-type",
            settings,
            entry,
            f"{entry.name} is {shown(entry)}, but must be inmemory or redis. The registry warns “unknown "
            "cache type” and runs without the cache.",
            severity=Severity.WARNING,
        )


def _filled(settings: ConfigFile, *path: str) -> bool:
    entry = settings.get(*path)
    return entry is not None and bool(entry.value or settings.below(*path))


def auth(configuration: EffectiveConfiguration, *, environment_known: bool) -> Iterator[Draft]:
    """The method by which clients log in, whether it is one, and what it needs."""
    settings, versions = configuration.settings, configuration.versions
    section = settings.get("auth")
    if section is None or section.kind in ("null", "list"):
        return
    if section.kind != "map":
        methods: tuple[ConfigEntry, ...] = (section,)
    else:
        methods = settings.below("auth")
        if any(method.kind not in ("map", "null") for method in methods):
            return
    if len(methods) > 1:
        names = joined([method.path[-1] for method in methods], "and")
        in_file = sum(method.variable is None for method in methods) > 1
        outcome = (
            stops("must provide exactly one type. Provided:")
            if in_file
            else "A variable adds the second, and the registry takes one of them at random at each start, or does "
            "not start."
        )
        yield about(
            "config/auth-methods",
            settings,
            next((method for method in methods if method.variable), methods[-1]),
            f"auth has {len(methods)} methods, {names}, and must have one. {outcome}",
        )
        return
    for method in methods:
        name = method.path[-1] if len(method.path) > 1 else method.value or ""
        if name.lower() == "none":
            continue
        if name not in METHODS:
            yield _unknown_method(name, method, settings)
        else:
            yield from _method(name, method, settings, versions, environment_known=environment_known)


def _unknown_method(name: str, method: ConfigEntry, settings: ConfigFile) -> Draft:
    guesses = near.near(name, METHODS, 1)
    hint = f" Is {guesses[0]} meant?" if guesses else ""
    return about(
        "config/auth-methods",
        settings,
        method,
        f"{name} is no method of login that the registry has; there are htpasswd, token and silly.{hint} "
        f"{stops(f'no access controller registered with name: {name}')}",
    )


def _method(
    name: str,
    method: ConfigEntry,
    settings: ConfigFile,
    versions: frozenset[str],
    *,
    environment_known: bool,
) -> Iterator[Draft]:
    for option in _METHOD_REQUIRED[name]:
        entry = settings.get("auth", name, option)
        words = (
            f'token auth requires a valid option string: "{option}"'
            if name == "token"
            else f'"{option}" must be set for {name} access controller'
        )
        if entry is None or entry.kind == "null":
            unless = _unless(environment_known, variable("auth", name, option))
            yield about(
                "config/required-missing",
                settings,
                method,
                f"auth.{name} has no {option}{unless}. {stops(words)}",
                fix=(
                    f"add auth.{name}.{option}, or set {variable('auth', name, option)} in the registry's "
                    "environment",
                ),
                certainty=_certainty(environment_known),
            )
            return
        if entry.kind != "string":
            yield about(
                "config/wrong-type",
                settings,
                entry,
                f"{entry.name} is {shown(entry)}, but must be a text; put it in quotes. {stops(words)}",
            )
            return
    if name == "token":
        redirect = settings.get("auth", "token", "autoredirect")
        if redirect is not None and redirect.kind != "boolean":
            yield about(
                "config/wrong-type",
                settings,
                redirect,
                f"{redirect.name} is {shown(redirect)}, but must be true or false, without quotes. "
                f"{stops('token auth requires a valid option bool: autoredirect')}",
            )
            return
        yield from _token_keys(method, settings, versions, environment_known=environment_known)


def _token_keys(
    method: ConfigEntry, settings: ConfigFile, versions: frozenset[str], *, environment_known: bool
) -> Iterator[Draft]:
    if settings.text("auth", "token", "rootcertbundle"):
        return
    if "3" in versions and settings.text("auth", "token", "jwks"):
        return
    needed = "rootcertbundle" if versions == {"2.8"} else "rootcertbundle (or jwks, version 3)"
    words = (
        'token auth requires a valid option string: "rootcertbundle"'
        if "2.8" in versions
        else "token auth requires at least one token signing key"
    )
    unless = _unless(environment_known, variable("auth", "token", "rootcertbundle"))
    yield about(
        "config/required-missing",
        settings,
        method,
        f"auth.token has no {needed}{unless}, so that no token could be verified. {stops(words)}",
        fix=("add auth.token.rootcertbundle with the file of the token server's certificates (PEM)",),
        certainty=_certainty(environment_known),
    )


def middleware(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Middleware that does not exist, or lacks what it needs."""
    settings, versions = configuration.settings, configuration.versions
    known = frozenset().union(*(MIDDLEWARE[version] for version in versions))
    for kind in ("storage", "registry", "repository"):
        for item in settings.below("middleware", kind):
            entry = settings.get(*item.path, "name")
            name = (entry.value if entry is not None else None) or ""
            if kind != "storage" or name not in known:
                yield _no_middleware(kind, name, entry or item, known, settings)
                continue
            for option in _OPTIONS_REQUIRED.get(name, ()):
                if not settings.text(*item.path, "options", option):
                    yield about(
                        "config/required-missing",
                        settings,
                        entry or item,
                        f"the middleware {name} has no option {option}. {stops(f'no {option} provided')}",
                    )
                    break
            else:
                if name == "redirect":
                    yield from _redirection(item, settings)


def _redirection(item: ConfigEntry, settings: ConfigFile) -> Iterator[Draft]:
    """The middleware that sends clients elsewhere for blobs, and its base URL."""
    entry = settings.get(*item.path, "options", "baseurl")
    value = (entry.value or "") if entry is not None else ""
    if entry is None or (entry.kind == "string" and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]", value)):
        return
    scheme, colon, _rest = value.partition(":")
    if entry.kind != "string":
        words = "baseurl must be a string"
    elif colon and re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        words = "no host specified for redirect baseurl"
    else:
        words = "no scheme specified for redirect baseurl"
    yield about(
        "config/wrong-type",
        settings,
        entry,
        f"{entry.name} is {shown(entry)}, but must be a whole URL such as https://cdn.example.com. "
        f"{stops(words)}",
    )


def _no_middleware(
    kind: str, name: str, entry: ConfigEntry, known: frozenset[str], settings: ConfigFile
) -> Draft:
    if kind == "repository":
        outcome = "The registry starts, and answers every request to a repository with 500."
    else:
        outcome = stops(f"no {kind} middleware registered with name: {name}")
    guesses = near.near(name, known, 1) if kind == "storage" else ()
    there = f"there are {joined(sorted(known), 'and')}" if kind == "storage" else "there is none of this kind"
    hint = f" Is {guesses[0]} meant?" if guesses else ""
    switched_off = settings.text(*entry.path[:3], "disabled")
    ignored = " disabled: true is not read." if (switched_off or "").lower() in ("true", "yes", "on") else ""
    return about(
        "config/middleware-unknown",
        settings,
        entry,
        f"the {kind} middleware {name or 'without a name'} does not exist here; {there}.{hint}{ignored} "
        f"{outcome}",
    )


def listener(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """``http``: what it listens on, and TLS."""
    settings = configuration.settings
    network = settings.text("http", "net") or "tcp"
    if network == "tcp":
        yield from _address(settings, settings.get("http", "addr"))
    yield from _address(settings, settings.get("http", "debug", "addr"))
    certificate = settings.get("http", "tls", "certificate")
    issued = settings.get("http", "tls", "letsencrypt", "cachefile")
    if certificate is not None and certificate.value and issued is not None and issued.value:
        yield about(
            "config/wrong-type",
            settings,
            issued,
            "http.tls has both a certificate and letsencrypt.cachefile, and only one of them may be there. "
            f"{stops('cannot specify both certificate and Let' + chr(39) + 's Encrypt')}",
        )
    elif certificate is not None and certificate.value and not settings.text("http", "tls", "key"):
        yield about(
            "config/required-missing",
            settings,
            certificate,
            f"http.tls has a certificate and no key. {stops('open : no such file or directory')}",
        )
    prefix = settings.get("http", "prefix")
    if prefix is not None and prefix.value and not prefix.value.startswith("/"):
        yield about(
            "config/wrong-type",
            settings,
            prefix,
            f"http.prefix is {shown(prefix)}, but must begin with a slash. The registry starts and answers "
            "404 to everything.",
        )


def _address(settings: ConfigFile, entry: ConfigEntry | None) -> Iterator[Draft]:
    value = (entry.value or "") if entry is not None else ""
    if entry is None or not value or entry.kind in ("map", "list"):
        return
    host, colon, port = value.rpartition(":")
    if not colon or (host.startswith("[") and not host.endswith("]")):
        problem, words = "has no port, as in :5000", "missing port in address"
    elif ":" in host and not host.startswith("["):
        problem, words = (
            "needs brackets around the IPv6 address, as in [::1]:5000",
            "too many colons in address",
        )
    elif port.isdecimal() and int(port) > 65535:
        problem, words = "has a port above 65535", "invalid port"
    else:
        return
    yield about(
        "config/wrong-type",
        settings,
        entry,
        f"{entry.name} is {shown(entry)}, which {problem}. {stops(words)}",
    )


def host(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """``http.host`` as such: a whole URL, or it is not used."""
    settings = configuration.settings
    entry = settings.get("http", "host")
    value = (entry.value or "") if entry is not None else ""
    if entry is None or not value or entry.kind in ("map", "list"):
        return
    if re.match(r"[^/?#:]*[^/?#:A-Za-z0-9+.-][^/?#:]*:|[^A-Za-z/?#:][^/?#:]*:", value):
        yield about(
            "config/wrong-type",
            settings,
            entry,
            f"http.host is {shown(entry)}, but must be a whole URL such as https://{value}. "
            f"{stops('could not parse http ' + chr(34) + 'host' + chr(34) + ' parameter')}",
        )
        return
    parts = urlsplit(value)
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/?#]", value):
        yield about(
            "config/http-host",
            settings,
            entry,
            f"http.host is {shown(entry)}, which is no whole URL. The registry ignores it without a word, "
            "and builds "
            f"its URLs from the request's Host and X-Forwarded-Proto instead; write https://{value}.",
            severity=Severity.WARNING,
        )
    elif parts.path not in ("", "/") and not parts.path.endswith("/"):
        yield about(
            "config/http-host",
            settings,
            entry,
            f"http.host is {shown(entry)}: its path counts only if it ends with a slash.",
            severity=Severity.WARNING,
        )


def others(configuration: EffectiveConfiguration, *, lint: bool) -> Iterator[Draft]:
    """The remaining sections: upstream, validation, health."""
    settings = configuration.settings
    upstream = settings.get("proxy", "remoteurl")
    if lint and upstream is not None and upstream.value and not re.match(r"https?://[^/?#]", upstream.value):
        yield about(
            "config/wrong-type",
            settings,
            upstream,
            f"proxy.remoteurl is {shown(upstream)}, but must begin with https:// or http://. The registry "
            f"asks the upstream when it starts. {STARTS_NOT}.",
        )
    for part in ("allow", "deny"):
        for entry in settings.below("validation", "manifests", "urls", part):
            problem = _expression_problem(entry.value or "")
            if problem:
                yield about(
                    "config/wrong-type",
                    settings,
                    entry,
                    f"“{entry.value}” is no regular expression of Go: {problem}. "
                    f"{stops(f'validation.manifests.urls.{part}: error parsing regexp')}",
                )
    yield from _repeated_checks(settings)


def _expression_problem(text: str) -> str | None:
    if _NO_RE2.search(text):
        return "it looks around or refers back, which Go's RE2 cannot"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except re.error as error:
        message = error.msg
        certain = (
            "unterminated subpattern",
            "unterminated character set",
            "unbalanced parenthesis",
            "nothing to",
        )
        if any(each in message for each in certain) and "\\" not in text:
            return message
    return None


def _repeated_checks(settings: ConfigFile) -> Iterator[Draft]:
    seen: dict[str, ConfigEntry] = {}
    for kind, name in (("file", "file"), ("http", "uri"), ("tcp", "addr")):
        for item in settings.below("health", kind):
            entry = settings.get(*item.path, name)
            if entry is None or not entry.value:
                continue
            if entry.value in seen:
                before = where(settings, seen[entry.value])
                yield about(
                    "config/wrong-type",
                    settings,
                    entry,
                    f"health checks {shown(entry)} a second time; {before} does already. "
                    f"{stops(f'Check already exists: {entry.value}')}",
                )
            seen[entry.value] = entry
