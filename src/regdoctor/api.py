"""All that a check may import; built-in and third-party checks get the same.

A probe looks at the world and returns a fact; a rule is a pure generator from facts to findings::

    @probe
    def look(endpoint: Endpoint, addresses: Addresses, context: Context) -> Connections: ...

    @rule("tcp/refused")
    def refused(endpoint: Endpoint, connections: Connections) -> Iterator[Draft]:
        yield finding("tcp/refused", "…", evidence=("connections",))

The network modules come in whole (``tls.handshake(…)``); each imports its heavy library where it uses it.
"""

from regdoctor import certificates, clocks, facts, oci
from regdoctor.context import Context, Deadline, DeadlineExceeded
from regdoctor.facts import *  # noqa: F403 - the vocabulary of facts is part of this interface
from regdoctor.facts import __all__ as _facts
from regdoctor.host import (
    buildkit,
    config_file,
    configured_files,
    containerd_config,
    credential_settings,
    daemon_flags,
    daemon_json,
    daemon_proxies,
    disk,
    disk_quota,
    docker_config,
    docker_info,
    file_kinds,
    handshake_log,
    hosts_toml,
    htpasswd,
    image_stores,
    installed,
    kubernetes,
    listen_log,
    nginx_spools,
    packet_filter,
    processes,
    proxies,
    registries_conf,
    registry_environment,
    registry_process,
    settings_files,
    signature_policy,
    sockets,
    storage,
    time_daemons,
    token_settings,
    trust,
    upstream_settings,
)
from regdoctor.host import proxyconf as proxy_configs
from regdoctor.model import Certainty, Severity
from regdoctor.net import (
    dns,
    failures,
    login,
    ntp,
    once,
    resolver_files,
    segments,
    tcp,
    tls,
    token_server,
    tunnel,
    uploads,
    verification,
)
from regdoctor.net.http import Response, pause_sending
from regdoctor.oci import challenge as challenges
from regdoctor.oci import config_secrets, errors, listen_addresses, near, refusals
from regdoctor.oci import digest as digests
from regdoctor.oci import manifest as manifests
from regdoctor.oci import platform as platforms
from regdoctor.oci import quota as quotas
from regdoctor.oci import scope as scopes
from regdoctor.oci import tiny_image as tiny_images
from regdoctor.oci import token as tokens
from regdoctor.oci import token_request as token_requests
from regdoctor.oci.challenge import Challenge
from regdoctor.oci.manifest import Descriptor
from regdoctor.oci.reference import InvalidReference, Reference, Target, parse_reference
from regdoctor.oci.scope import Scope
from regdoctor.oci.token import TokenClaims
from regdoctor.oci.upload import Location, resolve_location
from regdoctor.options import Options, Profile
from regdoctor.parallel import in_time, side_by_side
from regdoctor.registry_config import openness
from regdoctor.registry_config import schema as registry_keys
from regdoctor.registry_config import types as registry_values
from regdoctor.secret import Secret
from regdoctor.signatures import Blocked, Draft, Each, NotApplicable, finding, probe, rule
from regdoctor.units import size_text

__all__ = [
    "Blocked",
    "Certainty",
    "Challenge",
    "Context",
    "Deadline",
    "DeadlineExceeded",
    "Descriptor",
    "Draft",
    "Each",
    "InvalidReference",
    "Location",
    "NotApplicable",
    "Options",
    "Profile",
    "Reference",
    "Response",
    "Scope",
    "Secret",
    "Severity",
    "Target",
    "TokenClaims",
    "buildkit",
    "certificates",
    "challenges",
    "clocks",
    "config_file",
    "config_secrets",
    "configured_files",
    "containerd_config",
    "credential_settings",
    "daemon_flags",
    "daemon_json",
    "daemon_proxies",
    "digests",
    "disk",
    "disk_quota",
    "dns",
    "docker_config",
    "docker_info",
    "errors",
    "facts",
    "failures",
    "file_kinds",
    "finding",
    "handshake_log",
    "hosts_toml",
    "htpasswd",
    "image_stores",
    "in_time",
    "installed",
    "kubernetes",
    "listen_addresses",
    "listen_log",
    "login",
    "manifests",
    "near",
    "nginx_spools",
    "ntp",
    "oci",
    "once",
    "openness",
    "packet_filter",
    "parse_reference",
    "pause_sending",
    "platforms",
    "probe",
    "processes",
    "proxies",
    "proxy_configs",
    "quotas",
    "refusals",
    "registries_conf",
    "registry_environment",
    "registry_keys",
    "registry_process",
    "registry_values",
    "resolve_location",
    "resolver_files",
    "rule",
    "scopes",
    "segments",
    "settings_files",
    "side_by_side",
    "signature_policy",
    "size_text",
    "sockets",
    "storage",
    "tcp",
    "time_daemons",
    "tiny_images",
    "tls",
    "token_requests",
    "token_server",
    "token_settings",
    "tokens",
    "trust",
    "tunnel",
    "uploads",
    "upstream_settings",
    "verification",
]
__all__ += _facts  # noqa: PLE0605
