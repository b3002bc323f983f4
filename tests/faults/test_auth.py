"""Faults of authentication on Debian's registry and a real token server, each the single root cause.

Beside each stands its healthy twin: the same servers with the fault mended.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import NAME, PASSWORD, USERNAME, StartNginx, StartRegistry, StartTokenServer
from tests.support import ports
from tests.support.certificates import Authority, CertificateFiles, root_authority
from tests.support.http_server import Answer, Request, json_answer
from tests.support.images import push_image
from tests.support.nginx import ReverseProxy
from tests.support.regdoctor_cli import (
    CliResult,
    assert_has,
    assert_healthy,
    assert_lacks,
    assert_single_root_cause,
    run_regdoctor,
)
from tests.support.registry import Registry, htpasswd_line
from tests.support.registry_client import Credential, RegistryClient
from tests.support.skopeo import skopeo
from tests.support.token_server import TokenFaults, TokenServer

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

ALICE: Credential = (USERNAME, PASSWORD)
HOSTS = {NAME: "127.0.0.1"}
PLATFORM = ("--platform", "linux/amd64")


def check(
    address: str,
    ca: Path,
    *arguments: str | Path,
    login: Credential | None = None,
    stored: dict[str, Any] | None = None,
    folder: Path | None = None,
    env: dict[str, str] | None = None,
) -> CliResult:
    """Run a check; with a login on the command line, or with a config.json in a folder of its own."""
    words: list[str | Path] = ["check", address, "--cacert", ca, *PLATFORM, *arguments]
    environment = dict(env or {})
    if login is not None:
        words += ["--username", login[0], "--password-stdin"]
    if stored is not None:
        assert folder is not None
        (folder / "config.json").write_text(json.dumps(stored))
        environment["DOCKER_CONFIG"] = str(folder)
    result = run_regdoctor(*words, hosts=HOSTS, stdin=login[1] if login else None, env=environment)
    for secret in (PASSWORD, encoded(ALICE), *([login[1]] if login and len(login[1]) > 3 else [])):
        assert secret not in result.stdout + result.stderr, "a secret in the output"
    assert "eyJ" not in result.stdout + result.stderr, "a token in the output"
    return result


def encoded(login: Credential) -> str:
    return base64.b64encode(":".join(login).encode()).decode()


def entry(key: str, login: Credential = ALICE) -> dict[str, Any]:
    return {"auths": {key: {"auth": encoded(login)}}}


@pytest.fixture
def image(htpasswd_registry: Registry) -> str:
    """An image that is whole, on the registry with an htpasswd file."""
    push_image(htpasswd_registry, "team/app", "1.0")
    return f"{htpasswd_registry.address}/team/app:1.0"


@pytest.fixture
def ca(certificate: CertificateFiles) -> Path:
    """The authority of every server here."""
    return certificate.ca


@pytest.fixture
def token_server(start_token_server: StartTokenServer, certificate: CertificateFiles) -> TokenServer:
    """A token server at reg.test; everybody may pull below public/."""
    return start_token_server(name=NAME, tls=certificate, anonymous={"public/*": ("pull",)})


@pytest.fixture
def registry(
    start_registry: StartRegistry, token_server: TokenServer, certificate: CertificateFiles
) -> Registry:
    """A registry that trusts that token server, with two images."""
    registry = start_registry(name=NAME, tls=certificate, token=token_server.auth())
    for repository in ("team/app", "public/app"):
        push_image(registry.client(ALICE, addresses=HOSTS), repository, "1.0")
    return registry


# nothing is wrong


def test_right_password_is_healthy(htpasswd_registry: Registry, image: str, ca: Path) -> None:
    assert_healthy(check(htpasswd_registry.address, ca, login=ALICE))
    assert_healthy(check(image, ca, login=ALICE))


def test_stored_password_is_found_in_config_json(image: str, ca: Path, tmp_path: Path) -> None:
    key = image.partition("/")[0]
    assert_healthy(check(image, ca, stored=entry(key), folder=tmp_path))


def test_stored_password_is_found_in_the_file_named(image: str, ca: Path, tmp_path: Path) -> None:
    (tmp_path / "auth.json").write_text(json.dumps(entry(image.partition("/")[0])))
    assert_healthy(check(image, ca, "--authfile", tmp_path / "auth.json"))


def test_right_password_at_the_token_server_is_healthy(registry: Registry, ca: Path) -> None:
    assert_healthy(check(registry.address, ca, login=ALICE))
    assert_healthy(check(f"{registry.address}/team/app:1.0", ca, login=ALICE))


def test_anonymous_token_is_healthy(registry: Registry, ca: Path) -> None:
    assert_healthy(check(registry.address, ca))
    assert_healthy(check(f"{registry.address}/public/app:1.0", ca))


def test_identity_token_is_exchanged(
    registry: Registry, token_server: TokenServer, ca: Path, tmp_path: Path
) -> None:
    answer = registry.client(addresses=HOSTS).exchange(
        "GET",
        f"{token_server.realm}?service=registry.test&offline_token=true",
        headers={"Authorization": f"Basic {encoded(ALICE)}"},
    )
    identity = answer.json()["refresh_token"]
    stored = {
        "auths": {
            registry.address: {"auth": encoded(("00000000", "")), "identitytoken": identity},
        }
    }
    result = check(f"{registry.address}/team/app:1.0", ca, stored=stored, folder=tmp_path)
    assert_healthy(result)
    assert identity not in result.stdout
    assert "POST" in {request.method for request in token_server.requests}


def test_credentials_that_nobody_asks_for_are_no_matter(
    tls_registry: Registry, ca: Path, tmp_path: Path
) -> None:
    push_image(tls_registry, "team/app", "1.0")
    stored = entry(tls_registry.address, (USERNAME, "outdated"))
    assert_healthy(check(f"{tls_registry.address}/team/app:1.0", ca, stored=stored, folder=tmp_path))


@pytest.mark.parametrize("login", [ALICE, None])
def test_a_pull_needs_three_round_trips(
    login: Credential | None, registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    asked_before = len(token_server.requests)
    result = check(f"{registry.address}/public/app:1.0", ca, login=login)
    (target,) = result.report["targets"]
    urls = [f"{each['method']} {each['url'].partition('?')[0]}" for each in target["exchanges"]]
    ping, token = f"GET {registry.url}/v2/", f"GET {token_server.realm}"
    manifest = f"GET {registry.url}/v2/public/app/manifests/1.0"
    assert urls.count(ping) == 1
    assert urls.index(ping) < urls.index(token) < urls.index(manifest)
    asked = [request.target for request in token_server.requests[asked_before:]]
    assert len([each for each in asked if each.partition("&account=")[0].endswith("%3Apull")]) == 1
    assert len(asked) == len(set(asked)), "every other token is one of the table of permissions"


def test_an_open_registry_is_asked_nothing_for_the_sake_of_logins(tls_registry: Registry, ca: Path) -> None:
    push_image(tls_registry, "team/app", "1.0")
    (target,) = check(f"{tls_registry.address}/team/app:1.0", ca).report["targets"]
    urls = [each["url"] for each in target["exchanges"]]
    assert not any("tags/list" in url for url in urls)


# credentials


@pytest.mark.parametrize("what", ["registry", "image"])
def test_no_credentials(what: str, htpasswd_registry: Registry, image: str, ca: Path) -> None:
    found = assert_single_root_cause(
        check(image if what == "image" else htpasswd_registry.address, ca), "auth/credentials-missing"
    )
    assert htpasswd_registry.address in found["detail"]


class MembersOnly(TokenServer):
    """A token server that turns anonymous clients away."""

    def _right_answer(self, request: Request) -> Answer:
        if request.method == "GET" and "Authorization" not in request.headers:
            error = {"code": "UNAUTHORIZED", "message": "authentication required"}
            return json_answer(401, {"errors": [error]})
        return super()._right_answer(request)


def test_no_credentials_for_a_token_server_that_wants_some(
    start_registry: StartRegistry, certificate: CertificateFiles, ca: Path, tmp_path: Path
) -> None:
    with MembersOnly(tmp_path / "tokens", name=NAME, tls=certificate, users={USERNAME: PASSWORD}) as server:
        registry = start_registry(name=NAME, tls=certificate, token=server.auth())
        assert_single_root_cause(check(registry.address, ca), "auth/credentials-missing")
        assert_single_root_cause(check(f"{registry.address}/team/app:1", ca), "auth/credentials-missing")
        assert_healthy(check(registry.address, ca, login=ALICE))


def test_anonymous_push_wants_a_login(registry: Registry, ca: Path) -> None:
    assert_single_root_cause(
        check(f"{registry.address}/public/app:1.0", ca, "--push"), "auth/credentials-missing"
    )


@pytest.mark.parametrize("what", ["registry", "image"])
def test_wrong_password(what: str, htpasswd_registry: Registry, image: str, ca: Path) -> None:
    found = assert_single_root_cause(
        check(image if what == "image" else htpasswd_registry.address, ca, login=(USERNAME, "looking-glass")),
        "auth/credentials-rejected",
    )
    assert USERNAME in found["detail"]


@pytest.mark.needs("skopeo")
def test_wrong_password_is_what_skopeo_meets(image: str, ca: Path) -> None:
    told = skopeo("inspect", "--creds", "alice:looking-glass", f"docker://{image}", hosts=HOSTS, ca=ca)
    assert told.returncode != 0
    assert "authentication required" in told.stderr


def test_wrong_password_at_the_token_server(registry: Registry, token_server: TokenServer, ca: Path) -> None:
    found = assert_single_root_cause(
        check(f"{registry.address}/team/app:1.0", ca, login=(USERNAME, "looking-glass")),
        "auth/credentials-rejected",
    )
    assert f"{NAME}:{token_server.port}" in found["detail"]


@pytest.mark.parametrize("key", [NAME, f"{NAME}:5000", "https://REG.test/v1/"])
def test_credentials_under_another_name(key: str, image: str, ca: Path, tmp_path: Path) -> None:
    found = assert_single_root_cause(
        check(image, ca, stored=entry(key), folder=tmp_path), "auth/credentials-misfiled"
    )
    assert key in found["detail"]
    assert image.partition("/")[0] in found["detail"]


def test_credentials_under_another_name_for_a_token_server(
    registry: Registry, ca: Path, tmp_path: Path
) -> None:
    image = f"{registry.address}/team/app:1.0"
    assert_single_root_cause(
        check(image, ca, stored=entry(NAME), folder=tmp_path), "auth/credentials-misfiled"
    )
    anonymous = check(f"{registry.address}/public/app:1.0", ca, stored=entry(NAME), folder=tmp_path)
    assert_healthy(anonymous)


@pytest.mark.parametrize("auth", ["%%%", base64.b64encode(b"alice").decode()])
def test_an_entry_that_does_not_decode(auth: str, image: str, ca: Path, tmp_path: Path) -> None:
    stored = {"auths": {image.partition("/")[0]: {"auth": auth}}}
    assert_single_root_cause(check(image, ca, stored=stored, folder=tmp_path), "auth/credentials-malformed")


def test_a_newline_at_the_end_of_the_password(image: str, ca: Path, tmp_path: Path) -> None:
    stored = entry(image.partition("/")[0], (USERNAME, PASSWORD + "\n"))
    assert_single_root_cause(check(image, ca, stored=stored, folder=tmp_path), "auth/credentials-malformed")


# helpers


def helper(folder: Path, name: str, script: str) -> dict[str, str]:
    """Install a credential helper of the test's own and return the environment that finds it."""
    program = folder / f"docker-credential-{name}"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return {"PATH": f"{folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


def test_a_helper_that_is_not_installed(image: str, ca: Path, tmp_path: Path) -> None:
    found = assert_single_root_cause(
        check(image, ca, stored={"credsStore": "desktop"}, folder=tmp_path), "auth/helper-missing"
    )
    assert "docker-credential-desktop" in found["detail"]


def test_a_helper_that_fails(image: str, ca: Path, tmp_path: Path) -> None:
    environment = helper(tmp_path, "locked", "echo 'pass not initialized: exit status 1'; exit 1")
    found = assert_single_root_cause(
        check(image, ca, stored={"credsStore": "locked"}, folder=tmp_path, env=environment),
        "auth/helper-failed",
    )
    assert "pass not initialized" in found["detail"]


def test_a_helper_that_hangs(image: str, ca: Path, tmp_path: Path) -> None:
    environment = helper(tmp_path, "slow", "exec sleep 60")
    found = assert_single_root_cause(
        check(image, ca, "--timeout", "1", stored={"credsStore": "slow"}, folder=tmp_path, env=environment),
        "auth/helper-failed",
    )
    assert "does not come to an end" in found["detail"]


def test_a_helper_named_for_this_host_that_knows_nothing(image: str, ca: Path, tmp_path: Path) -> None:
    environment = helper(tmp_path, "empty", "echo credentials not found in native keychain; exit 1")
    stored = {"credHelpers": {image.partition("/")[0]: "empty"}}
    assert_single_root_cause(
        check(image, ca, stored=stored, folder=tmp_path, env=environment), "auth/helper-failed"
    )


def test_a_helper_that_delivers_is_healthy(image: str, ca: Path, tmp_path: Path) -> None:
    answer = json.dumps({"ServerURL": "x", "Username": USERNAME, "Secret": PASSWORD})
    environment = helper(tmp_path, "good", f"echo '{answer}'")
    assert_healthy(check(image, ca, stored={"credsStore": "good"}, folder=tmp_path, env=environment))


# the challenge


def nginx_before(
    registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles, **options: Any
) -> str:
    """Put nginx, which ends TLS, before a plain registry and return its address."""
    return start_nginx(ReverseProxy(registry.upstream, name=NAME, tls=certificate, **options)).address


@pytest.mark.needs("nginx")
def test_an_open_ping_before_a_protected_registry(
    start_registry: StartRegistry, start_nginx: StartNginx, certificate: CertificateFiles, ca: Path
) -> None:
    registry = start_registry(htpasswd=dict([ALICE]))
    push_image(registry, "team/app", "1.0")
    ping = "location = /v2/ { default_type application/json; return 200 '{}'; }"
    address = nginx_before(registry, start_nginx, certificate, locations=[ping])
    for target in (address, f"{address}/team/app:1.0"):
        for login in (ALICE, None):
            result = check(target, ca, login=login)
            assert_single_root_cause(result, "auth/ping-not-challenged", exit_code=0 if login else 3)
    assert_healthy(check(nginx_before(registry, start_nginx, certificate), ca, login=ALICE))


@pytest.mark.needs("nginx")
def test_a_login_that_is_asked_for_at_uploads_alone(
    start_registry: StartRegistry,
    start_nginx: StartNginx,
    certificate: CertificateFiles,
    ca: Path,
    tmp_path: Path,
) -> None:
    registry = start_registry()
    (tmp_path / "users").write_text(htpasswd_line(*ALICE))
    rule = f'limit_except GET HEAD {{ auth_basic "tests"; auth_basic_user_file {tmp_path / "users"}; }}'
    address = nginx_before(registry, start_nginx, certificate, directives=[rule])
    image = push_image(registry).reference(address)
    for login in (ALICE, None):
        assert_healthy(check(image, ca, login=login))
        result = check(image, ca, "--push", login=login)
        found = assert_single_root_cause(result, "auth/ping-not-challenged")
        assert found["severity"] == "error"


@pytest.mark.needs("nginx")
def test_a_401_without_a_challenge(
    start_registry: StartRegistry, start_nginx: StartNginx, certificate: CertificateFiles, ca: Path
) -> None:
    registry = start_registry(htpasswd=dict([ALICE]))
    hidden = ["proxy_hide_header WWW-Authenticate;"]
    address = nginx_before(registry, start_nginx, certificate, directives=hidden)
    assert_single_root_cause(check(address, ca, login=ALICE), "auth/challenge-invalid")


@pytest.mark.parametrize("realm", ["https://api./auth/token", f"https://{NAME}:5002:5002/token", "/token"])
def test_a_realm_that_is_no_url(
    realm: str,
    start_registry: StartRegistry,
    token_server: TokenServer,
    certificate: CertificateFiles,
    ca: Path,
) -> None:
    registry = start_registry(name=NAME, tls=certificate, token=token_server.auth(realm=realm))
    found = assert_single_root_cause(check(registry.address, ca, login=ALICE), "auth/challenge-invalid")
    assert realm in found["detail"]


# the way to the token server


@pytest.mark.parametrize("realm", ["https://auth-internal.test/token", "closed port"])
def test_a_token_server_that_cannot_be_reached(
    realm: str,
    start_registry: StartRegistry,
    token_server: TokenServer,
    certificate: CertificateFiles,
    ca: Path,
) -> None:
    if realm == "closed port":
        realm = f"https://{NAME}:{ports.free_port()}/token"
    registry = start_registry(name=NAME, tls=certificate, token=token_server.auth(realm=realm))
    for login in (ALICE, None):
        found = assert_single_root_cause(
            check(f"{registry.address}/team/app:1.0", ca, login=login), "auth/realm-unreachable"
        )
        assert realm in found["detail"]


@pytest.mark.needs("skopeo")
def test_an_unreachable_token_server_is_what_skopeo_meets(
    start_registry: StartRegistry, token_server: TokenServer, certificate: CertificateFiles, ca: Path
) -> None:
    realm = f"https://{NAME}:{ports.free_port()}/token"
    registry = start_registry(name=NAME, tls=certificate, token=token_server.auth(realm=realm))
    told = skopeo("inspect", f"docker://{registry.address}/team/app:1.0", hosts=HOSTS, ca=ca)
    assert realm in told.stderr
    assert "connection refused" in told.stderr


def test_a_token_server_whose_authority_is_unknown(
    start_registry: StartRegistry,
    start_token_server: StartTokenServer,
    certificate: CertificateFiles,
    ca: Path,
    tmp_path: Path,
) -> None:
    foreign = root_authority().issue([NAME], ["127.0.0.1"]).write(tmp_path / "foreign")
    server = start_token_server(name=NAME, tls=foreign)
    registry = start_registry(name=NAME, tls=certificate, token=server.auth())
    result = check(registry.address, ca, login=ALICE)
    assert_single_root_cause(result, "auth/realm-unreachable")
    assert not any("Authorization" in request.headers for request in server.requests)


def test_a_token_server_with_the_certificate_of_another(
    start_registry: StartRegistry,
    start_token_server: StartTokenServer,
    authority: Authority,
    certificate: CertificateFiles,
    ca: Path,
    tmp_path: Path,
) -> None:
    other = authority.issue(["other.test"], []).write(tmp_path / "other")
    server = start_token_server(name=NAME, tls=other)
    registry = start_registry(name=NAME, tls=certificate, token=server.auth())
    found = assert_single_root_cause(check(registry.address, ca, login=ALICE), "auth/realm-scheme-mismatch")
    assert "other.test" in found["detail"]


def test_an_https_realm_of_a_plain_token_server(
    start_registry: StartRegistry,
    start_token_server: StartTokenServer,
    certificate: CertificateFiles,
    ca: Path,
) -> None:
    server = start_token_server(name=NAME)
    realm = server.realm.replace("http://", "https://")
    registry = start_registry(name=NAME, tls=certificate, token=server.auth(realm=realm))
    for login in (ALICE, None):
        assert_single_root_cause(check(registry.address, ca, login=login), "auth/realm-scheme-mismatch")
    assert not any("Authorization" in request.headers for request in server.requests)


def test_an_http_realm_of_a_token_server_with_tls(
    start_registry: StartRegistry, token_server: TokenServer, certificate: CertificateFiles, ca: Path
) -> None:
    realm = token_server.realm.replace("https://", "http://")
    registry = start_registry(name=NAME, tls=certificate, token=token_server.auth(realm=realm))
    for login in (ALICE, None):
        assert_single_root_cause(check(registry.address, ca, login=login), "auth/realm-scheme-mismatch")


def test_passwords_do_not_follow_an_http_realm(
    start_registry: StartRegistry,
    start_token_server: StartTokenServer,
    certificate: CertificateFiles,
    ca: Path,
) -> None:
    server = start_token_server(name=NAME)
    registry = start_registry(name=NAME, tls=certificate, token=server.auth())
    assert_has(check(registry.address, ca, login=ALICE), "auth/realm-scheme-mismatch")
    assert not any("Authorization" in request.headers for request in server.requests)


@pytest.mark.needs("nginx")
def test_a_token_server_at_the_registrys_own_address_is_looked_at_once(
    start_registry: StartRegistry,
    start_token_server: StartTokenServer,
    start_nginx: StartNginx,
    certificate: CertificateFiles,
    ca: Path,
) -> None:
    server = start_token_server()
    port = ports.free_port()
    realm = f"https://{NAME}:{port}{server.path}"
    registry = start_registry(token=server.auth(realm=realm))
    tokens = f"location {server.path} {{ proxy_pass {server.url}; }}"
    start_nginx(ReverseProxy(registry.upstream, name=NAME, port=port, tls=certificate, locations=[tokens]))
    result = check(f"{NAME}:{port}", ca, login=ALICE)
    assert_healthy(result)
    (target,) = result.report["targets"]
    assert list(target["facts"]["handshakes"]) == [f"registry {NAME}:{port}"]


@pytest.mark.parametrize(
    "faults", [TokenFaults(html=True), TokenFaults(status=500), TokenFaults(missing_field=True)], ids=repr
)
def test_a_token_server_that_gives_no_token(
    faults: TokenFaults, registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.faults = faults
    for login in (ALICE, None):
        assert_single_root_cause(
            check(f"{registry.address}/public/app:1.0", ca, login=login), "auth/token-server-error"
        )


# the token


def untrusting(registry: Registry, **changes: Any) -> None:
    """Let the registry expect other tokens than its token server gives."""
    registry.stop()
    registry.config["auth"]["token"].update(changes)
    registry.start()


@pytest.mark.parametrize("target", ["", "/team/app:1.0"])
def test_a_token_signed_with_a_foreign_key(
    target: str, registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.faults = TokenFaults(foreign_key=True)
    token_server.identify_key_by = "kid"
    address = registry.address + target
    assert_single_root_cause(check(address, ca, login=ALICE), "auth/token-rejected")
    found = assert_single_root_cause(
        check(address, ca, "--config", registry.config_path, login=ALICE), "auth/token-key-untrusted"
    )
    assert str(token_server.certificate) in found["detail"]


def test_a_key_that_is_named_in_the_way_of_registry_3(
    registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    """An RFC 7638 thumbprint as kid, and no x5c: registry 2.8 finds no such key."""
    token_server.identify_key_by = "thumbprint"
    for more in ((), ("--config", registry.config_path)):
        found = assert_single_root_cause(
            check(f"{registry.address}/team/app:1.0", ca, *more, login=ALICE), "auth/token-key-untrusted"
        )
        assert "RFC 7638" in found["detail"]


def test_a_token_of_another_issuer(registry: Registry, ca: Path) -> None:
    untrusting(registry, issuer="https://tokens.test/")
    found = assert_single_root_cause(check(registry.address, ca, login=ALICE), "auth/token-rejected")
    assert "tokens.test" in found["detail"]
    found = assert_single_root_cause(
        check(registry.address, ca, "--config", registry.config_path, login=ALICE),
        "auth/token-issuer-mismatch",
    )
    assert "https://tokens.test/" in found["detail"]


@pytest.mark.parametrize("audience", ["other.test", ["registry.test"]])
def test_a_token_for_another_audience(
    audience: Any, registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.faults = TokenFaults(audience=audience)
    for target in (registry.address, f"{registry.address}/team/app:1.0"):
        assert_single_root_cause(check(target, ca, login=ALICE), "auth/token-audience-mismatch")


@pytest.mark.parametrize("offset", [120, -3600])
def test_a_token_server_whose_clock_is_wrong(
    offset: float, registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.faults = TokenFaults(clock_offset=offset)
    found = assert_single_root_cause(
        check(f"{registry.address}/team/app:1.0", ca, login=ALICE), "auth/token-time-skew"
    )
    assert ("ahead" if offset > 0 else "behind") in found["detail"]
    assert "it is the token server's that is wrong" in found["detail"]


def test_a_clock_within_the_leeway_is_no_matter(
    registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.faults = TokenFaults(clock_offset=30)
    assert_lacks(
        check(f"{registry.address}/team/app:1.0", ca, login=ALICE),
        "auth/token-time-skew",
        "auth/token-rejected",
    )


def test_a_token_that_lives_too_briefly(registry: Registry, token_server: TokenServer, ca: Path) -> None:
    token_server.faults = TokenFaults(lifetime=20)
    result = check(f"{registry.address}/team/app:1.0", ca, login=ALICE)
    found = assert_single_root_cause(result, "auth/token-short-lived")
    assert found["severity"] == "warning"


@pytest.mark.needs("skopeo")
def test_a_refused_token_is_what_skopeo_meets(
    registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.faults = TokenFaults(audience="other.test")
    told = skopeo(
        "inspect",
        "--creds",
        ":".join(ALICE),
        f"docker://{registry.address}/team/app:1.0",
        hosts=HOSTS,
        ca=ca,
    )
    assert told.returncode != 0
    assert "authentication required" in told.stderr


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("target", ["", "/team/app:1.0"])
def test_a_proxy_that_drops_the_authorization_header(
    target: str,
    start_registry: StartRegistry,
    start_nginx: StartNginx,
    token_server: TokenServer,
    certificate: CertificateFiles,
    ca: Path,
) -> None:
    registry = start_registry(token=token_server.auth())
    push_image(RegistryClient(registry.url, addresses=HOSTS, ca=ca, credential=ALICE), "team/app", "1.0")
    address = nginx_before(registry, start_nginx, certificate, headers={"Authorization": ""})
    result = check(address + target, ca, login=ALICE)
    found = assert_single_root_cause(result, "auth/header-stripped")
    assert "nginx" in found["detail"]
    assert_healthy(check(nginx_before(registry, start_nginx, certificate) + target, ca, login=ALICE))


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("target", ["", "/team/app:1.0"])
def test_a_proxy_that_drops_passwords_is_told_by_asking_the_registry_itself(
    target: str,
    start_registry: StartRegistry,
    start_nginx: StartNginx,
    certificate: CertificateFiles,
    ca: Path,
) -> None:
    registry = start_registry(htpasswd=dict([ALICE]))
    push_image(registry, "team/app", "1.0")
    address = nginx_before(registry, start_nginx, certificate, headers={"Authorization": ""}) + target
    with_config = ("--config", registry.config_path)
    assert_single_root_cause(check(address, ca, *with_config, login=ALICE), "auth/header-stripped")
    # From outside a wrong password and a lost one look the same; the broader code says what decides.
    found = assert_single_root_cause(check(address, ca, login=ALICE), "auth/credentials-rejected")
    assert "nginx stands in front" in found["detail"]
    wrong = check(address, ca, *with_config, login=(USERNAME, "looking-glass"))
    assert_single_root_cause(wrong, "auth/credentials-rejected")
    right = nginx_before(registry, start_nginx, certificate) + target
    assert_lacks(
        check(right, ca, *with_config, login=ALICE), "auth/header-stripped", "auth/credentials-rejected"
    )


@pytest.mark.needs("nginx")
def test_credentials_longer_than_a_proxy_takes(
    start_registry: StartRegistry,
    start_nginx: StartNginx,
    start_token_server: StartTokenServer,
    certificate: CertificateFiles,
    ca: Path,
) -> None:
    password = "long" * 2500
    server = start_token_server(users={USERNAME: password})
    proxy = start_nginx(ReverseProxy(server.url, name=NAME, tls=certificate))
    registry = start_registry(
        name=NAME, tls=certificate, token=server.auth(realm=f"{proxy.url}{server.path}")
    )
    assert_single_root_cause(
        check(registry.address, ca, login=(USERNAME, password)), "auth/request-too-large"
    )
    server.users = {USERNAME: PASSWORD}
    assert_healthy(check(registry.address, ca, login=ALICE))


# rights


def test_passwords_longer_than_a_proxy_takes(
    start_registry: StartRegistry, start_nginx: StartNginx, certificate: CertificateFiles, ca: Path
) -> None:
    """nginx takes header lines of 8 KB."""
    login = (USERNAME, "w" * 9000)
    registry = start_registry(htpasswd={USERNAME: PASSWORD})
    push_image(registry.client(ALICE), "team/app", "1.0")
    found = assert_single_root_cause(
        check(f"{nginx_before(registry, start_nginx, certificate)}/team/app:1.0", ca, login=login),
        "auth/request-too-large",
    )
    assert "12014 bytes" in found["detail"]


def test_a_password_file_that_the_registry_cannot_use_is_told_from_outside(
    htpasswd_registry: Registry, image: str, ca: Path
) -> None:
    """A line without a colon. The registry finds it at the first login after its start, and each time anew."""
    (file,) = htpasswd_registry.storage.parent.glob("*htpasswd*")
    file.write_text(file.read_text() + "garbage\n")
    for target in (htpasswd_registry.address, image):
        htpasswd_registry.restart()
        found = assert_single_root_cause(check(target, ca, login=ALICE), "auth/htpasswd-malformed")
        assert found["certainty"] == "likely"


def test_a_repository_that_strangers_may_not_see(registry: Registry, ca: Path) -> None:
    for repository in ("team/app", "team/ap"):
        found = assert_single_root_cause(
            check(f"{registry.address}/{repository}:1.0", ca), "auth/existence-hidden"
        )
        assert "docker login" in found["fix"][0]


def test_a_repository_that_an_account_may_not_see(
    registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.grants = {"other/*": ("pull", "push")}
    told = check(f"{registry.address}/team/app:1.0", ca, login=ALICE)
    found = assert_single_root_cause(told, "auth/scope-denied")
    assert found["certainty"] == "likely"
    assert "no repository team/app at all" in found["detail"]


@pytest.mark.needs("skopeo")
def test_a_hidden_repository_is_what_skopeo_meets(
    registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.grants = {}
    told = skopeo(
        "inspect",
        "--creds",
        ":".join(ALICE),
        f"docker://{registry.address}/team/app:1.0",
        hosts=HOSTS,
        ca=ca,
    )
    assert told.returncode != 0
    assert "denied" in told.stderr or "authentication required" in told.stderr


def test_an_account_that_may_push_and_not_pull(
    registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.faults = TokenFaults(deny=("pull",))
    found = assert_single_root_cause(
        check(f"{registry.address}/team/app:1.0", ca, login=ALICE), "auth/scope-denied"
    )
    assert "push" in found["detail"]


class OtherNames(TokenServer):
    """A token server that reads another repository's name than the one that it is asked for."""

    def _get(self, request: Request) -> Answer:
        target = request.target.replace("team%2Fapp", "app")
        return super()._get(Request(request.method, target, request.headers, request.body))


def test_a_token_for_another_repository_than_the_one_asked_for(
    start_registry: StartRegistry, certificate: CertificateFiles, tmp_path: Path, ca: Path
) -> None:
    with OtherNames(tmp_path / "tokens", name=NAME, tls=certificate, users=dict([ALICE])) as tokens:
        registry = start_registry(name=NAME, tls=certificate, token=tokens.auth())
        found = assert_single_root_cause(
            check(f"{registry.address}/team/app:1.0", ca, login=ALICE), "auth/scope-denied"
        )
        assert "it grants rights on app instead" in found["detail"]


def test_a_token_server_that_is_asked_too_often(
    registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.faults = TokenFaults(status=429, headers={"Retry-After": "30"})
    found = assert_single_root_cause(
        check(f"{registry.address}/team/app:1.0", ca, login=ALICE), "http/rate-limited"
    )
    assert found["host"] == f"{NAME}:{token_server.port}"
    assert "come back after: 30" in found["detail"]


def test_an_account_that_may_pull_all_but_this(
    registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.grants = lambda _account, _kind, name: () if name == "team/app" else ("pull",)
    assert_single_root_cause(check(f"{registry.address}/team/app:1.0", ca, login=ALICE), "auth/scope-denied")


@pytest.mark.parametrize("faults", [TokenFaults(deny=("push",)), TokenFaults(deny=("push", "pull"))])
def test_an_account_that_may_not_push(
    faults: TokenFaults, registry: Registry, token_server: TokenServer, ca: Path
) -> None:
    token_server.faults = faults
    assert_single_root_cause(
        check(f"{registry.address}/team/app:1.0", ca, "--push", login=ALICE), "auth/scope-denied"
    )


def test_an_account_that_may_push_is_healthy(registry: Registry, ca: Path) -> None:
    assert_healthy(check(f"{registry.address}/team/app:1.0", ca, "--push", login=ALICE))


# uploads


@pytest.mark.needs("nginx")
def test_an_open_registry_whose_proxy_lets_nobody_push(
    start_registry: StartRegistry, start_nginx: StartNginx, certificate: CertificateFiles
) -> None:
    registry = start_registry()
    push_image(registry, "team/app", "1.0")
    denied = json.dumps(
        {"errors": [{"code": "DENIED", "message": "requested access to the resource is denied"}]}
    )
    location = f"location ~ /blobs/uploads/ {{ default_type application/json; return 403 '{denied}'; }}"
    nginx = start_nginx(ReverseProxy(registry.upstream, tls=certificate, locations=[location]))

    assert_single_root_cause(
        run_regdoctor(
            "check",
            "--cacert",
            certificate.ca,
            "--push",
            "--push-seconds",
            "1",
            f"{nginx.address}/team/app:1.0",
        ),
        "auth/credentials-missing",
    )


def test_an_account_that_may_not_push_to_a_repository_that_is_not_there_yet(
    start_registry: StartRegistry, start_token_server: StartTokenServer, certificate: CertificateFiles
) -> None:
    server = start_token_server(tls=certificate, grants={"team/*": ("pull",)})
    registry = start_registry(tls=certificate, token=server.auth())

    assert_single_root_cause(
        run_regdoctor(
            "check", "--cacert", certificate.ca, "--username", USERNAME, "--password-stdin",
            "--push", "--push-seconds", "1", f"{registry.address}/team/new:1.0", stdin=PASSWORD,
        ),
        "auth/scope-denied",
    )  # fmt: skip
