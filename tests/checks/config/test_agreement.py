# ruff: noqa: E501 - one case is one line
"""Configurations and environments of which the real registry and regdoctor must say the same.

Each is given to docker-registry 2.8.2. What regdoctor says the registry does (it does not start, and prints these
words; or it starts) must be what it did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from regdoctor.api import Draft, Settings
from regdoctor.checks.config.wording import STARTS_NOT
from regdoctor.facts.base import FileKind
from tests.checks.config.judging import drafts_of
from tests.support import programs
from tests.support.certificates import CertificateFiles
from tests.support.processes import Daemon

BASE = "version: 0.1\nstorage:\n  inmemory:\n"
HTTP = "http:\n  addr: 127.0.0.1:0\n"
GOOD = BASE + HTTP
FILE = "version: 0.1\n" + HTTP
"""Without a storage, for cases about it."""
S3 = "bucket: a, region: eu-central-1"
PURGE = "maintenance: {uploadpurging: "


@dataclass(frozen=True)
class Case:
    """``code`` is what regdoctor finds (several with blanks between), None for nothing of weight; ``stops`` whether the registry stops."""

    name: str
    text: str
    code: str | None = None
    stops: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return self.name


def starts(name: str, text: str, code: str | None = None, **environment: str) -> Case:
    return Case(name, text, code, environment=environment)


def fails(name: str, text: str, code: str, **environment: str) -> Case:
    return Case(name, text, code, stops=True, environment=environment)


WRONG, MISSING, UNKNOWN = "config/wrong-type", "config/required-missing", "config/unknown-key"
MISPLACED, DRIVERS, UNSUPPORTED = (
    "config/misplaced-key",
    "config/storage-drivers",
    "config/driver-unsupported",
)
METHODS, MIDDLEWARE, HOST = "config/auth-methods", "config/middleware-unknown", "config/http-host"
INVALID, IGNORED, COLLISION = "config/env-invalid", "config/env-ignored", "config/env-collision"

CASES = [
    starts("good", GOOD),
    # version
    # types
    fails("level is unknown", f"{GOOD}log: {{level: warning}}\n", WRONG),
    starts("level in capitals", f"{GOOD}log: {{level: INFO}}\n"),
    fails("old level is unknown", f"{GOOD}loglevel: trace\n", WRONG),
    fails("formatter is unknown", f"{GOOD}log: {{formatter: xml}}\n", WRONG),
    fails("network is unknown", f"{GOOD}  net: udp\n", WRONG),
    fails("days do not exist", f"{GOOD}  draintimeout: 1d\n", WRONG),
    fails("a duration as a quoted number", f"{GOOD}  draintimeout: '10'\n", WRONG),
    starts("a duration without a unit", f"{GOOD}  draintimeout: 10\n", WRONG),
    starts("a compound duration", f"{GOOD}  draintimeout: 1h30m0.5s\n"),
    fails("a header without a list", f"{GOOD}  headers: {{X-A: nosniff}}\n", WRONG),
    starts("numbers as headers", f"{GOOD}  headers: {{X-A: [1, yes]}}\n"),
    fails("a quoted boolean", f"{GOOD}  relativeurls: 'true'\n", WRONG),
    starts("a boolean of YAML 1.1", f"{GOOD}  relativeurls: On\n"),
    fails("one value for a section", f"{GOOD}  tls: true\n", WRONG),
    fails("a list for a section", f"{GOOD}  tls: [a]\n", WRONG),
    starts("an empty section", f"{GOOD}  tls:\n"),
    fails("a section one level too flat", f"{GOOD}  debug: {{prometheus: yes}}\n", WRONG),
    starts("a fraction where a number belongs", f"{GOOD}catalog: {{maxentries: 1.9}}\n"),
    fails("a word where a number belongs", f"{GOOD}catalog: {{maxentries: many}}\n", WRONG),
    fails("a quoted number", f"{GOOD}redis: {{db: '0'}}\n", WRONG),
    fails("a map for a list", f"{GOOD}notifications: {{endpoints: {{name: a}}}}\n", WRONG),
    fails("a word for a list", f"{GOOD}policy: {{repository: {{classes: image}}}}\n", WRONG),
    fails("a list for a word", f"{BASE}http:\n  addr: ['127.0.0.1:0']\n", WRONG),
    starts("a number for a word", f"{GOOD}  secret: 12345\n"),
    fails("a date as a boolean", f"{GOOD}validation: {{disabled: 2001-12-14}}\n", WRONG),
    # unknown keys
    starts("an unknown key", f"{GOOD}  hots: a\n", UNKNOWN),
    starts("a key in capitals", f"{GOOD}  relativeURLs: true\n", UNKNOWN),
    starts("an unknown section", f"{GOOD}metrics: {{enabled: true}}\n", UNKNOWN),
    starts(
        "a section at the wrong level", f"{GOOD}tls: {{certificate: /nothing, key: /nothing}}\n", MISPLACED
    ),
    starts("http2 at the top", f"{GOOD}http2: {{disabled: true}}\n", MISPLACED),
    starts(
        "delete inside of the driver",
        f"{FILE}storage: {{filesystem: {{rootdirectory: {{dir}}, delete: {{enabled: true}}}}}}\n",
        MISPLACED,
    ),
    starts(
        "a driver's parameter in capitals",
        f"{FILE}storage: {{filesystem: {{rootDirectory: {{dir}}}}}}\n",
        UNKNOWN,
    ),
    starts("a key of version 3", f"{GOOD}  h2c: {{enabled: true}}\n", UNKNOWN),
    starts("an anchor's home", f"x-level: &level info\n{GOOD}log: {{level: *level}}\n"),
    # storage
    fails("no storage", FILE, DRIVERS),
    fails("an empty storage", f"{FILE}storage:\n", DRIVERS),
    fails("options without a driver", f"{FILE}storage: {{delete: {{enabled: true}}}}\n", DRIVERS),
    fails("two drivers", f"{FILE}storage: {{inmemory: , filesystem: {{rootdirectory: {{dir}}}}}}\n", DRIVERS),
    fails("storage.tag", f"{BASE}  tag: {{concurrencylimit: 5}}\n{HTTP}", DRIVERS),
    fails("a misspelt option", f"{BASE}  redirects: {{disable: true}}\n{HTTP}", DRIVERS),
    fails("a parameter beside the driver", f"{BASE}  rootdirectory: /data\n{HTTP}", WRONG),
    fails(
        "a parameter of the driver beside it",
        f"{FILE}storage:\n  filesystem:\n  rootdirectory: /data\n",
        WRONG,
    ),
    fails("a list of drivers", f"{FILE}storage: [filesystem]\n", WRONG),
    starts("a driver as a word", f"{FILE}storage: inmemory\n"),
    fails("a misspelt driver", f"{FILE}storage: {{filesytem: {{rootdirectory: /data}}}}\n", UNSUPPORTED),
    fails("a path for a driver", f"{FILE}storage: {{filesystem: /data}}\n", WRONG),
    fails("too many threads to count", f"{FILE}storage: {{filesystem: {{maxthreads: many}}}}\n", WRONG),
    fails("a fraction of a thread", f"{FILE}storage: {{filesystem: {{maxthreads: 1.5}}}}\n", WRONG),
    starts(
        "threads as a text", f"{FILE}storage: {{filesystem: {{maxthreads: '30', rootdirectory: {{dir}}}}}}\n"
    ),
    fails("s3 without region", f"{FILE}storage: {{s3: {{bucket: a}}}}\n", MISSING),
    fails("s3 without bucket", f"{FILE}storage: {{s3: {{region: eu-central-1}}}}\n", MISSING),
    fails("s3 with an unknown region", f"{FILE}storage: {{s3: {{bucket: a, region: nowhere}}}}\n", WRONG),
    starts("s3", f"{FILE}storage: {{s3: {{{S3}}}, {PURGE}{{enabled: false}}}}}}\n"),
    starts(
        "s3 of another maker",
        f"{FILE}storage: {{s3: {{bucket: a, region: x, regionendpoint: 'http://127.0.0.1:1'}}, {PURGE}{{enabled: false}}}}}}\n",
    ),
    fails(
        "s3 without region elsewhere",
        f"{FILE}storage: {{s3: {{bucket: a, regionendpoint: 'http://127.0.0.1:1'}}}}\n",
        MISSING,
    ),
    fails("s3 with a wrong flag", f"{FILE}storage: {{s3: {{{S3}, encrypt: maybe}}}}\n", WRONG),
    starts(
        "s3 with a flag as a text",
        f"{FILE}storage: {{s3: {{{S3}, encrypt: 'true'}}, {PURGE}{{enabled: false}}}}}}\n",
    ),
    fails("s3 with small chunks", f"{FILE}storage: {{s3: {{{S3}, chunksize: 1048576}}}}\n", WRONG),
    fails("s3 with a word for a number", f"{FILE}storage: {{s3: {{{S3}, chunksize: large}}}}\n", WRONG),
    fails("s3 with a quoted number too small", f"{FILE}storage: {{s3: {{{S3}, chunksize: '5'}}}}\n", WRONG),
    fails("s3 with an unknown class", f"{FILE}storage: {{s3: {{{S3}, storageclass: GLACIER_IR}}}}\n", WRONG),
    fails("s3 with an unknown list", f"{FILE}storage: {{s3: {{{S3}, objectacl: all}}}}\n", WRONG),
    fails("s3 with old signatures", f"{FILE}storage: {{s3: {{{S3}, v4auth: false}}}}\n", WRONG),
    fails("swift without all", f"{FILE}storage: {{swift: {{username: a}}}}\n", MISSING),
    # beside the driver
    starts("deletion as a text", f"{BASE}  delete: {{enabled: 'true'}}\n{HTTP}", WRONG),
    fails("deletion without a level", f"{BASE}  delete: true\n{HTTP}", WRONG),
    fails("an empty redirect", f"{BASE}  redirect: {{}}\n{HTTP}", MISSING),
    fails("redirect as a text", f"{BASE}  redirect: {{disable: 'yes'}}\n{HTTP}", WRONG),
    starts("redirect", f"{BASE}  redirect: {{disable: yes}}\n{HTTP}"),
    fails("redis cache without redis", f"{BASE}  cache: {{blobdescriptor: redis}}\n{HTTP}", MISSING),
    fails(
        "redis of version 3",
        f"{BASE}  cache: {{blobdescriptor: redis}}\n{HTTP}redis: {{addrs: ['127.0.0.1:1']}}\n",
        f"{UNKNOWN} {MISSING}",
    ),
    starts(
        "redis cache", f"{BASE}  cache: {{blobdescriptor: redis}}\n{HTTP}redis: {{addr: '127.0.0.1:1'}}\n"
    ),
    starts("unknown cache", f"{BASE}  cache: {{blobdescriptor: memcached}}\n{HTTP}", WRONG),
    fails("read-only without a level", f"{BASE}  maintenance: {{readonly: true}}\n{HTTP}", WRONG),
    fails("read-only as a text", f"{BASE}  maintenance: {{readonly: {{enabled: 'true'}}}}\n{HTTP}", WRONG),
    starts("read-only", f"{BASE}  maintenance: {{readonly: {{enabled: true}}}}\n{HTTP}", "config/read-only"),
    fails("purging without age", f"{BASE}  {PURGE}{{enabled: true}}}}\n{HTTP}", MISSING),
    fails("purging without interval", f"{BASE}  {PURGE}{{age: 168h}}}}\n{HTTP}", MISSING),
    fails("purging without dryrun", f"{BASE}  {PURGE}{{age: 168h, interval: 24h}}}}\n{HTTP}", MISSING),
    fails(
        "purging after a number", f"{BASE}  {PURGE}{{age: 168, interval: 24h, dryrun: no}}}}\n{HTTP}", WRONG
    ),
    fails("purging in days", f"{BASE}  {PURGE}{{age: 168h, interval: 1d, dryrun: no}}}}\n{HTTP}", WRONG),
    fails(
        "purging with a word", f"{BASE}  {PURGE}{{age: 168h, interval: 24h, dryrun: 'no'}}}}\n{HTTP}", WRONG
    ),
    starts("purging switched off", f"{BASE}  {PURGE}{{enabled: no, age: 5}}}}\n{HTTP}"),
    starts("purging", f"{BASE}  {PURGE}{{age: 168h, interval: 24h, dryrun: no}}}}\n{HTTP}"),
    # auth
    starts("no login", f"{GOOD}auth: None\n"),
    fails("an unknown method", f"{GOOD}auth: {{ldap: {{url: a}}}}\n", METHODS),
    fails(
        "two methods",
        f"{GOOD}auth: {{htpasswd: {{realm: a, path: {{dir}}/h}}, silly: {{realm: a, service: b}}}}\n",
        METHODS,
    ),
    fails(
        "a parameter beside the method",
        f"{GOOD}auth: {{htpasswd: {{path: {{dir}}/h}}, realm: a}}\n",
        WRONG,
    ),
    fails("htpasswd without path", f"{GOOD}auth: {{htpasswd: {{realm: a}}}}\n", MISSING),
    fails("htpasswd with a number", f"{GOOD}auth: {{htpasswd: {{realm: 5, path: {{dir}}/h}}}}\n", WRONG),
    starts("htpasswd", f"{GOOD}auth: {{htpasswd: {{realm: a, path: {{dir}}/h}}}}\n"),
    fails("token without issuer", f"{GOOD}auth: {{token: {{realm: a, service: b}}}}\n", MISSING),
    fails(
        "token without certificates", f"{GOOD}auth: {{token: {{realm: a, service: b, issuer: c}}}}\n", MISSING
    ),
    fails("silly without service", f"{GOOD}auth: {{silly: {{realm: a}}}}\n", MISSING),
    # http
    fails("no port", f"{BASE}http: {{addr: 5000}}\n", WRONG),
    fails("a port too large", f"{BASE}http: {{addr: ':99999'}}\n", WRONG),
    fails("a debug server without a port", f"{GOOD}  debug: {{addr: 5001}}\n", WRONG),
    fails("host without a scheme", f"{GOOD}  host: 127.0.0.1:5000\n", WRONG),
    starts("host that looks like a scheme", f"{GOOD}  host: localhost:5000\n", HOST),
    starts("host without port and scheme", f"{GOOD}  host: registry.example.com\n", HOST),
    starts("host", f"{GOOD}  host: https://registry.example.com\n"),
    starts("prefix without a slash", f"{GOOD}  prefix: registry/\n", WRONG),
    fails(
        "both kinds of certificates",
        f"{GOOD}  tls: {{certificate: {{cert}}, key: {{key}}, letsencrypt: {{cachefile: {{dir}}/x}}}}\n",
        WRONG,
    ),
    fails("a certificate without a key", f"{GOOD}  tls: {{certificate: {{cert}}}}\n", MISSING),
    starts("a key without a certificate", f"{GOOD}  tls: {{key: {{key}}}}\n", "config/no-tls"),
    starts("TLS", f"{GOOD}  tls: {{certificate: {{cert}}, key: {{key}}, minimumtls: tls1.0}}\n"),
    fails(
        "an unknown version of TLS",
        f"{GOOD}  tls: {{certificate: {{cert}}, key: {{key}}, minimumtls: TLS1.2}}\n",
        WRONG,
    ),
    fails(
        "an unknown cipher",
        f"{GOOD}  tls: {{certificate: {{cert}}, key: {{key}}, ciphersuites: [ECDHE-RSA-AES128-GCM-SHA256]}}\n",
        WRONG,
    ),
    starts("an unknown cipher without TLS", f"{GOOD}  tls: {{ciphersuites: [NONE]}}\n", "config/no-tls"),
    # the rest
    fails(
        "unknown middleware",
        f"{GOOD}middleware: {{storage: [{{name: cache, disabled: true}}]}}\n",
        MIDDLEWARE,
    ),
    fails(
        "middleware of the registry", f"{GOOD}middleware: {{registry: [{{name: redirect}}]}}\n", MIDDLEWARE
    ),
    starts(
        "middleware of repositories", f"{GOOD}middleware: {{repository: [{{name: redirect}}]}}\n", MIDDLEWARE
    ),
    fails("middleware of version 3", f"{GOOD}middleware: {{storage: [{{name: rewrite}}]}}\n", MIDDLEWARE),
    fails(
        "redirect with half a URL",
        f"{GOOD}middleware: {{storage: [{{name: redirect, options: {{baseurl: cdn.example.com}}}}]}}\n",
        WRONG,
    ),
    fails(
        "redirect without a host",
        f"{GOOD}middleware: {{storage: [{{name: redirect, options: {{baseurl: 'https:/a'}}}}]}}\n",
        WRONG,
    ),
    fails(
        "redirect to a number",
        f"{GOOD}middleware: {{storage: [{{name: redirect, options: {{baseurl: 5}}}}]}}\n",
        WRONG,
    ),
    fails("a map as the version in a variable", GOOD, INVALID, REGISTRY_VERSION="{a: b}"),
    fails("a word as the version in a variable", GOOD, INVALID, REGISTRY_VERSION="two"),
    fails("half a version in a variable", GOOD, INVALID, REGISTRY_VERSION="1"),
    fails(
        "a wrong type that a variable replaces",
        f"{GOOD}  headers: nosniff\n",
        WRONG,
        REGISTRY_HTTP_HEADERS="{X-A: [b]}",
    ),
    fails(
        "a map where a number belongs",
        f"{FILE}storage: {{s3: {{{S3}, multipartcopychunksize: {{}}}}}}\n",
        WRONG,
    ),
    fails("a list for a flag", f"{FILE}storage: {{s3: {{{S3}, secure: [yes]}}}}\n", WRONG),
    starts("a version in a variable", GOOD, IGNORED, REGISTRY_VERSION="0.2"),
    fails(
        "autoredirect as a text",
        f"{GOOD}auth: {{token: {{realm: 'https://a/', service: a, issuer: b, rootcertbundle: {{cert}}, autoredirect: 'true'}}}}\n",
        WRONG,
    ),
    starts(
        "autoredirect",
        f"{GOOD}auth: {{token: {{realm: 'https://a/', service: a, issuer: b, rootcertbundle: {{cert}}, autoredirect: true}}}}\n",
    ),
    fails("redirect without URL", f"{GOOD}middleware: {{storage: [{{name: redirect}}]}}\n", MISSING),
    fails(
        "cloudfront without key",
        f"{GOOD}middleware: {{storage: [{{name: cloudfront, options: {{baseurl: 'https://a'}}}}]}}\n",
        MISSING,
    ),
    starts(
        "middleware",
        f"{GOOD}middleware: {{storage: [{{name: redirect, options: {{baseurl: 'https://a'}}}}]}}\n",
    ),
    fails("upstream without a scheme", f"{GOOD}proxy: {{remoteurl: registry-1.docker.io}}\n", WRONG),
    fails(
        "an expression not closed", f"{GOOD}validation: {{manifests: {{urls: {{allow: ['(a']}}}}}}\n", WRONG
    ),
    fails(
        "an expression that looks ahead",
        f"{GOOD}validation: {{manifests: {{urls: {{deny: ['a(?!b)']}}}}}}\n",
        WRONG,
    ),
    starts(
        "an expression",
        f"{GOOD}validation: {{manifests: {{urls: {{allow: ['^https?://(?P<a>[^/]+)/\\pL']}}}}}}\n",
    ),
    fails("a health check twice", f"{GOOD}health: {{file: [{{file: /a}}, {{file: /a}}]}}\n", WRONG),
    # the environment
    starts("a variable", GOOD, REGISTRY_LOG_LEVEL="debug"),
    starts("a variable of podman elsewhere", GOOD, REGISTRY_PORT="tcp://10.0.0.1:5000"),
    fails("podman's variable", GOOD, COLLISION, REGISTRY_AUTH_FILE="/run/containers/0/auth.json"),
    fails("a service called registry-storage", GOOD, COLLISION, REGISTRY_STORAGE_PORT="tcp://10.0.0.1:80"),
    fails(
        "a service called registry-auth",
        GOOD,
        f"{METHODS} {COLLISION}",
        REGISTRY_AUTH_SERVICE_HOST="10.0.0.1",
    ),
    fails(
        "a service called registry-middleware", GOOD, COLLISION, REGISTRY_MIDDLEWARE_PORT="tcp://10.0.0.1:80"
    ),
    starts(
        "a service called registry-ui",
        GOOD,
        REGISTRY_UI_PORT="tcp://10.0.0.1:80",
        REGISTRY_UI_SERVICE_HOST="10.0.0.1",
    ),
    fails("a second driver", GOOD, DRIVERS, REGISTRY_STORAGE_S3_BUCKET="a"),
    fails("another driver without all", GOOD, MISSING, REGISTRY_STORAGE="s3", REGISTRY_STORAGE_S3_BUCKET="a"),
    fails("a driver removed", GOOD, DRIVERS, REGISTRY_STORAGE=""),
    starts(
        "another driver",
        GOOD,
        REGISTRY_STORAGE="filesystem",
        REGISTRY_STORAGE_FILESYSTEM_ROOTDIRECTORY="{dir}",
    ),
    starts(
        "storage from the environment alone",
        "version: 0.1\nstorage: {inmemory: }\n" + HTTP,
        REGISTRY_STORAGE="{inmemory: }",
    ),
    fails("a nested option", GOOD, INVALID, REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED="true"),
    starts(
        "a nested option as one value",
        GOOD,
        "config/read-only",
        REGISTRY_STORAGE_MAINTENANCE_READONLY="{enabled: true}",
    ),
    starts(
        "a nested option beside the file's",
        f"{BASE}  maintenance: {{readonly: {{enabled: false}}}}\n{HTTP}",
        IGNORED,
        REGISTRY_STORAGE_MAINTENANCE_READONLY_ENABLED="true",
    ),
    fails("a map for a word", GOOD, INVALID, REGISTRY_HTTP_ADDR="a: b"),
    fails("broken YAML", GOOD, INVALID, REGISTRY_HTTP_ADDR="[a"),
    fails("a word for a list in a variable", GOOD, INVALID, REGISTRY_HTTP_TLS_CLIENTCAS="/certs/ca.crt"),
    fails("a word for a header", GOOD, INVALID, REGISTRY_HTTP_HEADERS_X="a"),
    fails("an unknown level in a variable", GOOD, INVALID, REGISTRY_LOG_LEVEL="verbose"),
    fails("a word for a section", GOOD, INVALID, REGISTRY_HTTP="a"),
    fails("a boolean for an option", GOOD, INVALID, REGISTRY_STORAGE_DELETE="true"),
    fails("days in a variable", GOOD, INVALID, REGISTRY_HTTP_DRAINTIMEOUT="1d"),
    fails("method without path", GOOD, MISSING, REGISTRY_AUTH_HTPASSWD_REALM="a"),
    starts(
        "a method from variables",
        GOOD,
        REGISTRY_AUTH="htpasswd",
        REGISTRY_AUTH_HTPASSWD_REALM="a",
        REGISTRY_AUTH_HTPASSWD_PATH="{dir}/h",
    ),
    starts("login removed", f"{GOOD}auth: {{ldap: {{}}}}\n", REGISTRY_AUTH=""),
    starts("a member of a list", GOOD, IGNORED, REGISTRY_HTTP_TLS_CLIENTCAS_0="/certs/ca.crt"),
    starts("a setting below a value", GOOD, IGNORED, REGISTRY_HTTP_ADDR_PORT="5000"),
    starts("a misspelt variable", GOOD, IGNORED, REGISTRY_HTTP_ADDRESS="127.0.0.1:0"),
    starts("the name of the key where Go has another", GOOD, IGNORED, REGISTRY_HEALTH_FILE="[]"),
    starts("the name that Go has", GOOD, REGISTRY_HEALTH_FILECHECKERS="[]"),
    starts("the version", GOOD, IGNORED, REGISTRY_VERSION="0.2"),
    starts("the path of the file", GOOD, REGISTRY_CONFIGURATION_PATH="/nothing"),
    starts("deletion from a variable", GOOD, REGISTRY_STORAGE_DELETE_ENABLED="yes"),
    fails("redis cache from a variable", GOOD, MISSING, REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR="redis"),
    starts(
        "redis and its cache from variables",
        GOOD,
        REGISTRY_STORAGE_CACHE_BLOBDESCRIPTOR="redis",
        REGISTRY_REDIS_ADDR="127.0.0.1:1",
    ),
]

LOUD = ("error", "warning")


def judged(case: Case, text: str, environment: Mapping[str, str]) -> list[Draft]:
    settings = Settings(registry_version="2.8", lint=FileKind.REGISTRY)
    variables = "".join(f"{name}={value}\n" for name, value in environment.items())
    # A run with variables knows them all; otherwise there are none.
    drafts = drafts_of(text, settings, environment=variables)
    return [draft for draft in drafts if draft.severity in (None, *LOUD) and draft.code not in QUIET]


QUIET = frozenset({"config/delete-disabled", "config/http-secret-missing"})
"""Infos by the catalogue or the rule."""


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_registry_does_what_is_said(case: Case, tmp_path: Path, certificate: CertificateFiles) -> None:
    filled = {"{dir}": str(tmp_path), "{cert}": str(certificate.fullchain), "{key}": str(certificate.key)}

    def fill(text: str) -> str:
        for name, value in filled.items():
            text = text.replace(name, value)
        return text

    environment = {name: fill(value) for name, value in case.environment.items()}
    path = tmp_path / "config.yml"
    path.write_text(fill(case.text))
    drafts = judged(case, fill(case.text), environment)
    details = "\n".join(f"{draft.code}: {draft.detail}" for draft in drafts)
    said = [
        draft
        for draft in drafts
        if STARTS_NOT in draft.detail or "the registry does not start" in draft.detail
    ]
    command: list[str | Path] = [programs.path("docker-registry"), "serve", path]
    daemon = Daemon(
        command,
        log=tmp_path / "registry.log",
        environment={"OTEL_TRACES_EXPORTER": "none", **environment},
        directory=tmp_path,
    )
    with daemon:
        if said:
            assert daemon.wait_for_exit() != 0
        else:
            daemon.wait_until(lambda: "listening on" in daemon.log(), "listening")
        log = daemon.log()
    assert bool(said) == case.stops, f"{details}\n{log}"
    assert [draft.code for draft in drafts] == (case.code or "").split(), details
    for words in re.findall(r"stops with “(.*?)”\.", details, re.DOTALL):
        for part in words.split(" …"):
            assert part in log.replace('\\"', '"'), f"{part!r} is not in\n{log}"


def test_there_are_enough_of_either_kind() -> None:
    stopping = [case for case in CASES if case.stops]
    assert len(stopping) >= 60
    assert len(CASES) - len(stopping) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
