"""No secret of any kind leaves in any byte of any output, whatever the format and verbosity."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from regdoctor.report.formats import MODULES
from tests.support.certificates import CertificateFiles
from tests.support.http_server import Answer, HTTPServer, Request, json_answer
from tests.support.regdoctor_cli import run_regdoctor

PASSWORD = "canary-password-8d1f"
IDENTITY_TOKEN = "canary-identity-token-77aa"
TOKEN = "canary-bearer-token-31c0"
COOKIE = "canary-cookie-5be2"
USERINFO = "canary-userinfo-90fd"
SIGNATURE = "canary-signature-44e7"
CANARIES = (PASSWORD, IDENTITY_TOKEN, TOKEN, COOKIE, USERINFO, SIGNATURE)

SPELLINGS = tuple(
    spelling
    for canary in CANARIES
    for spelling in (
        canary.encode(),
        base64.b64encode(canary.encode())[:-4],
        base64.b64encode(f"alice:{canary}".encode())[8:-4],
    )
)


@pytest.fixture
def server(certificate: CertificateFiles) -> Iterator[HTTPServer]:
    """A registry and token server that answers with secrets wherever a real one may."""

    def answer(request: Request) -> Answer:
        cookie = ("Set-Cookie", f"sid={COOKIE}; Path=/")
        version = ("Docker-Distribution-Api-Version", "registry/2.0")
        if request.target.startswith("/token"):
            body = {"token": TOKEN, "access_token": TOKEN, "refresh_token": IDENTITY_TOKEN, "expires_in": 300}
            return json_answer(200, body, cookie)
        if not (request.headers.get("Authorization") or "").startswith("Bearer"):
            realm = f"https://{request.headers.get('Host')}/token?X-Amz-Signature={SIGNATURE}"
            challenge = ("WWW-Authenticate", f'Bearer realm="{realm}",service="tests"')
            return json_answer(
                401, {"errors": [{"code": "UNAUTHORIZED", "message": "no"}]}, challenge, cookie, version
            )
        if request.target == "/v2/":
            return json_answer(200, {}, cookie, version)
        if "/manifests/" in request.target:
            descriptor = {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 2}
            digest = "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
            manifest = {
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": descriptor | {"digest": digest},
                "layers": [descriptor | {"digest": digest.replace("44", "55")}],
            }
            media_type = ("Content-Type", "application/vnd.oci.image.manifest.v1+json")
            return Answer(200, json.dumps(manifest).encode(), (media_type, cookie, version))
        where = f"https://user:{USERINFO}@127.0.0.1:9/blob?X-Amz-Signature={SIGNATURE}&X-Amz-Credential={SIGNATURE}"
        return Answer(307, b"", (("Location", where), cookie, version))

    with HTTPServer(answer, tls=certificate) as running:
        yield running


def everything(folder: Path) -> bytes:
    """Every byte that a run left in a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("how", ["option", "auth", "identity token"])
@pytest.mark.parametrize("format_", sorted(MODULES))
def test_no_secret_leaves(
    server: HTTPServer, certificate: CertificateFiles, tmp_path: Path, format_: str, how: str
) -> None:
    arguments: list[str | Path] = ["--cacert", certificate.ca, "--verbose", "--debug", "--format", format_]
    stdin = None
    if how == "option":
        arguments += ["--username", "alice", "--password-stdin"]
        stdin = PASSWORD
    else:
        key = f"127.0.0.1:{server.port}"
        basic = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
        entry = {"auth": basic} if how == "auth" else {"identitytoken": IDENTITY_TOKEN, "username": "alice"}
        authfile = tmp_path / "config.json"
        authfile.write_text(json.dumps({"auths": {key: entry}}))
        arguments += ["--authfile", authfile]
    reports = tmp_path / "reports"
    reports.mkdir()
    for name in MODULES:
        arguments += ["--output", f"{name}={reports / name}"]

    result = run_regdoctor(
        "check",
        *arguments,
        f"127.0.0.1:{server.port}/team/app:1.0",
        stdin=stdin,
        env={"HTTPS_PROXY": f"http://bob:{USERINFO}@127.0.0.1:1", "NO_PROXY": "*"},
    )

    assert result.exit_code == 3, result.describe()
    written = result.stdout.encode() + result.stderr.encode() + everything(reports)
    assert len(written) > 1000
    found = [spelling for spelling in SPELLINGS if spelling in written]
    assert found == []


def test_no_secret_leaves_when_regdoctor_itself_fails(tmp_path: Path) -> None:
    result = run_regdoctor(
        "check",
        "--debug",
        "--username",
        "alice",
        "--password-stdin",
        f"https://bob:{USERINFO}@reg.test/",
        stdin=PASSWORD,
        report_format=None,
    )

    assert result.exit_code == 2
    assert USERINFO not in result.stdout + result.stderr
    assert PASSWORD not in result.stdout + result.stderr
