"""What a configuration that starts lets others do, and how it fits its surroundings. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from regdoctor.api import (
    Certainty,
    ConfigEntry,
    ConfigFile,
    ConfiguredFile,
    ConfiguredFiles,
    Draft,
    EffectiveConfiguration,
    Endpoint,
    FileState,
    Settings,
    Severity,
    Target,
    finding,
    listen_addresses,
    openness,
)
from regdoctor.checks.config.sections import driver_name, drivers_of
from regdoctor.checks.config.wording import about, joined, shown, stops, where

_SHARED = frozenset({"s3", "s3aws", "gcs", "azure", "swift", "oss"})
"""Drivers whose storage several registries can share without further ado."""
_NO_CREDENTIALS = frozenset(
    {"accesskey", "accesskeyid", "username", "accountname", "privatekey", "signingkeyfile", "keyfile", "auth"}
)
"""Names of users and files, which stand beside the secrets."""
_PORTS = {"http": 80, "https": 443}


def _from_host(options: Settings) -> bool:
    """Whether the caller asked for a look at the registry's own host."""
    return options.profile in ("host", "all")


def no_auth(configuration: EffectiveConfiguration, options: Settings) -> Iterator[Draft]:
    """Everybody who reaches the port may push."""
    settings = configuration.settings
    address = settings.get("http", "addr")
    if (
        address is None
        or (settings.text("http", "net") or "tcp") != "tcp"
        or not openness.listens_beyond_loopback(settings, "http", "addr")
        or openness.has_auth(settings)
        or (openness.has_tls(settings) and settings.below("http", "tls", "clientcas"))
        or settings.text("proxy", "remoteurl")
    ):
        return
    # The files that images ship look like this, and a published port or a proxy may stand in front. With TLS
    # of its own the registry is meant for the network.
    risky = _from_host(options) or openness.has_tls(settings)
    yield about(
        "config/no-auth",
        settings,
        address,
        f"the registry listens on {address.value} and asks nobody to log in: whoever reaches the port may "
        "pull, push and overwrite. A proxy in front may do it, if there is no way around it.",
        certainty=Certainty.LIKELY,
        severity=Severity.WARNING if risky else Severity.INFO,
    )


def no_tls(configuration: EffectiveConfiguration, options: Settings) -> Iterator[Draft]:
    """Passwords and images travel in the clear."""
    settings = configuration.settings
    tls = settings.get("http", "tls")
    if (
        tls is not None
        and tls.kind == "map"
        and not openness.has_tls(settings)
        and settings.below("http", "tls")
    ):
        given = joined([entry.path[-1] for entry in settings.below("http", "tls")], "and")
        yield about(
            "config/no-tls",
            settings,
            tls,
            f"http.tls has {given}, but no certificate. Only the certificate (or letsencrypt.cachefile) "
            "switches TLS on: the registry speaks plain HTTP and says nothing about it.",
        )
        return
    address = settings.get("http", "addr")
    if (
        address is None
        or openness.has_tls(settings)
        or (settings.text("http", "net") or "tcp") != "tcp"
        or not openness.listens_beyond_loopback(settings, "http", "addr")
    ):
        return
    said = urlsplit(settings.text("http", "host") or "")
    if said.scheme == "https":
        # Somebody in front speaks TLS.
        return
    public = (
        said.scheme == "http"
        and bool(said.hostname)
        and not listen_addresses.is_loopback(said.hostname or "")
    )
    risky = openness.has_auth(settings) and (public or _from_host(options))
    what = "Passwords and images" if openness.has_auth(settings) else "Images"
    yield about(
        "config/no-tls",
        settings,
        address,
        f"the registry listens on {address.value} without TLS. {what} travel in the clear, unless a proxy in "
        "front speaks TLS; docker takes such a registry only if it is listed under insecure-registries.",
        certainty=Certainty.LIKELY,
        severity=Severity.WARNING if risky else Severity.INFO,
    )


def debug_exposed(configuration: EffectiveConfiguration, options: Settings) -> Iterator[Draft]:
    """Profiling and metrics without a login."""
    settings = configuration.settings
    address = settings.get("http", "debug", "addr")
    if address is None or not openness.listens_beyond_loopback(settings, "http", "debug", "addr"):
        return
    # The file of the image registry:3 says :5001, which nobody reaches unless the port is published.
    chosen = not (address.value or "").startswith(":")
    yield about(
        "config/debug-exposed",
        settings,
        address,
        f"the debug server listens on {address.value}: health, metrics and profiling for everybody who "
        "reaches the "
        "port, without login and TLS. In a container that holds only once the port is published.",
        certainty=Certainty.PROVEN if chosen else Certainty.LIKELY,
        severity=Severity.WARNING if chosen or _from_host(options) else Severity.INFO,
    )


def http_secret_missing(configuration: EffectiveConfiguration, *, environment_known: bool) -> Iterator[Draft]:
    """Several registries behind one name need the same secret."""
    settings, versions = configuration.settings, configuration.versions
    entry = settings.get("http", "secret")
    if (entry is not None and entry.value) or (versions == {"3"} and settings.text("proxy", "remoteurl")):
        return
    shared = any(driver_name(driver) in _SHARED for driver in drivers_of(settings, versions))
    unless = "" if environment_known else ", unless the variable REGISTRY_HTTP_SECRET is set"
    yield about(
        "config/http-secret-missing",
        settings,
        settings.get("http"),
        f"http.secret is not set{unless}. The registry makes one up at each start: harmless with a single "
        "process, but behind one name several would refuse each other's uploads (“blob upload invalid”)."
        + (" Its storage is one that several registries can share." if shared else ""),
        certainty=Certainty.LIKELY if shared else Certainty.POSSIBLE,
        severity=Severity.WARNING if shared else Severity.INFO,
    )


def delete_disabled(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Nothing can be deleted, which is the default."""
    settings = configuration.settings
    if openness.is_on(settings, "storage", "delete", "enabled") or settings.get("storage") is None:
        return
    cached = settings.text("proxy", "remoteurl")
    entry = settings.get("storage", "delete", "enabled")
    more = " What this cache drops after a time stays on the disk as well." if cached else ""
    yield about(
        "config/delete-disabled",
        settings,
        entry or settings.get("storage"),
        f"storage.delete.enabled is not true, so every DELETE is answered 405 UNSUPPORTED.{more}",
    )


def read_only(configuration: EffectiveConfiguration, options: Settings) -> Iterator[Draft]:
    """Pushes are refused."""
    settings = configuration.settings
    if not openness.is_on(settings, "storage", "maintenance", "readonly", "enabled"):
        return
    yield about(
        "config/read-only",
        settings,
        settings.get("storage", "maintenance", "readonly", "enabled"),
        "storage.maintenance.readonly.enabled is true: every push and delete is answered 405 “Method not "
        "allowed”, while pulls work.",
        severity=Severity.ERROR if options.push else Severity.WARNING,
    )


def pull_through(configuration: EffectiveConfiguration, options: Settings) -> Iterator[Draft]:
    """A cache takes no pushes."""
    settings = configuration.settings
    entry = settings.get("proxy", "remoteurl")
    if entry is None or not entry.value:
        return
    yield about(
        "config/pull-through",
        settings,
        entry,
        f"the registry is a pull-through cache of {entry.value}: it answers every push and delete with 405 "
        "UNSUPPORTED.",
        severity=Severity.ERROR if options.push else Severity.INFO,
    )


def secret_in_file(config: ConfigFile) -> Iterator[Draft]:
    """Other users of the host can read a credential."""
    if config.mode is None or not config.mode & 0o004 or not config.others_enter:
        return
    found = [entry for entry in config.entries if _is_credential(entry)]
    if not found:
        return
    names = joined([entry.name for entry in found], "and")
    yield finding(
        "config/secret-in-file",
        f"{config.path} has mode {config.mode:04o}, so every user of its host can read {names}.",
        fix=(f"chmod o-rwx {config.path}",),
        evidence=tuple(config.origin(entry) for entry in found),
    )


def _is_credential(entry: ConfigEntry) -> bool:
    value = entry.value or ""
    if "://" in value and "***@" in value:
        return True
    return (
        entry.secret
        and bool(value)
        and entry.path != ("http", "secret")
        and entry.path[-1].lower() not in _NO_CREDENTIALS
        and entry.path[:2] != ("auth", "token")
    )


def default_path(
    configuration: EffectiveConfiguration, options: Settings, *, asked_for_login: bool | None
) -> Iterator[Draft]:
    """The images of the two major versions read the file at different places.

    :param asked_for_login: whether the registry does; None where it was not asked, or did not answer.
    """
    settings = configuration.settings
    told = options.registry_version
    moved = {
        "3": ("/etc/docker/registry/config.yml", "/etc/distribution/config.yml"),
        "2.8": ("/etc/distribution/config.yml", "/etc/docker/registry/config.yml"),
    }
    if told not in moved or not settings.path.endswith(moved[told][0]):
        return
    read = moved[told][1]
    differs = openness.has_auth(settings) and asked_for_login is False
    seen = (
        " The file asks for a login, the registry answers without one: it runs with another configuration."
        if differs
        else " This does not matter where the path is named on the command line."
    )
    yield finding(
        "config/default-path-moved",
        f"{settings.path}: images of registry {told} read {read} and never open this file.{seen}",
        certainty=Certainty.LIKELY if differs else Certainty.POSSIBLE,
        severity=None if differs else Severity.WARNING,
        evidence=(settings.path,),
    )


def host_and_target(
    configuration: EffectiveConfiguration, target: Target, endpoint: Endpoint
) -> Iterator[Draft]:
    """``http.host`` sends clients elsewhere than where they came from."""
    settings = configuration.settings
    entry = settings.get("http", "host")
    parts = urlsplit((entry.value or "") if entry is not None else "")
    try:
        port = parts.port or _PORTS.get(parts.scheme, 0)
    except ValueError:
        return
    if entry is None or parts.scheme not in _PORTS or not parts.hostname:
        return
    same_host = parts.hostname.lower() == endpoint.host.lower()
    if same_host and port == endpoint.port and parts.scheme == endpoint.scheme:
        return
    if same_host and port == endpoint.port and not endpoint.scheme_given:
        return
    # Who looks from the registry's own host sees another address than its clients do.
    local = listen_addresses.is_loopback(endpoint.host)
    yield about(
        "config/http-host",
        settings,
        entry,
        f"http.host is {shown(entry)}, while {target.text} is reached at {endpoint.url}. The registry puts "
        f"{entry.value} into the URLs of uploads, of pages of tags and of its token server, so clients that "
        "came by the one address go on at the other.",
        certainty=Certainty.POSSIBLE if local else Certainty.LIKELY,
        severity=Severity.WARNING if local else None,
    )


_FATAL: dict[tuple[str, ...], str] = {
    ("http", "tls", "certificate"): "{state}",
    ("http", "tls", "key"): "{state}",
    ("http", "tls", "clientcas"): "{state}",
    ("auth", "token", "rootcertbundle"): "unable to open token auth root certificate bundle file",
    ("auth", "token", "jwks"): "unable to open jwks file",
    ("compatibility", "schema1", "signingkeyfile"): "could not load schema1",
}
_NO_PEM: dict[tuple[str, ...], str] = {
    ("http", "tls", "certificate"): "tls: failed to find any PEM data in certificate input",
    ("http", "tls", "clientcas"): "could not add CA to pool",
    ("auth", "token", "rootcertbundle"): "token auth requires at least one token signing root certificate",
    ("http", "tls", "key"): "tls: failed to find any PEM data in key input",
    ("compatibility", "schema1", "signingkeyfile"): "could not load schema1",
}


def files(
    configuration: EffectiveConfiguration, seen: ConfiguredFiles, *, runs: bool, alone: bool
) -> Iterator[Draft]:
    """Files that are not there, or are something else.

    :param runs: whether the registry answers.
    :param alone: whether the configuration is looked at without its registry, perhaps on another host.
    """
    settings = configuration.settings
    for file in seen.files:
        if file.state is FileState.USABLE or not _is_used(file, settings):
            continue
        if runs:
            # It has them, wherever it runs; containers see other files than this host.
            continue
        entry = settings.get(*file.setting)
        kind = file.setting[:3]
        if file.state in (FileState.NO_CERTIFICATE, FileState.NO_KEY):
            words = _NO_PEM.get(kind, "")
        else:
            words = _FATAL.get(kind, "").replace("{state}", f"open {file.path}: {file.message}")
        outcome = stops(words) if words else ""
        # What another user may not read, and what lies inside of a container, cannot be told from here.
        certain = file.state in (FileState.NO_CERTIFICATE, FileState.NO_KEY, FileState.FOLDER)
        yield about(
            "config/file-missing",
            settings,
            entry,
            f"{'.'.join(file.setting)} names {file.path}, which {_state(file)}. {outcome} If the registry "
            "runs in a container, look there: the path is one of the container's.",
            certainty=Certainty.PROVEN if certain else Certainty.POSSIBLE if alone else Certainty.LIKELY,
        )


def _state(file: ConfiguredFile) -> str:
    if file.state is FileState.MISSING:
        return "does not exist"
    if file.state is FileState.FORBIDDEN:
        return "may not be read by this user"
    return file.message or "cannot be read"


def _is_used(file: ConfiguredFile, settings: ConfigFile) -> bool:
    if file.setting[:2] == ("auth", "htpasswd"):
        # The registry starts without it; what it holds is judged with the logins.
        return False
    return file.setting[:2] != ("http", "tls") or bool(settings.text("http", "tls", "certificate"))


def pair(configuration: EffectiveConfiguration, seen: ConfiguredFiles) -> Iterator[Draft]:
    """Certificate and key of different issues."""
    settings = configuration.settings
    certificate, key = seen.of("http", "tls", "certificate"), seen.of("http", "tls", "key")
    if certificate is None or key is None or not certificate.public_key or not key.public_key:
        return
    if certificate.public_key == key.public_key:
        return
    entry = settings.get("http", "tls", "key")
    place = where(settings, entry) if entry is not None else settings.path
    yield finding(
        "config/tls-pair-mismatch",
        f"{place}: the key in {key.path} is not that of the first certificate in {certificate.path} (SHA-256 "
        f"of the public keys: {key.public_key[:16]}…, {certificate.public_key[:16]}…). "
        f"{stops('tls: private key does not match public key')}",
        evidence=tuple(
            settings.origin(each)
            for each in (settings.get("http", "tls", "certificate"), entry)
            if each is not None
        ),
    )
