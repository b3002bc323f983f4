"""Registries by every kind of address: names of other scripts, IPv6 literals, odd ports, several in one run.

The same right answer is due for each of them, and the fault has to be named for the very one that was given.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import StartRegistry
from tests.support.certificates import Authority, root_authority
from tests.support.http_server import HTTPServer, json_answer
from tests.support.images import push_image
from tests.support.regdoctor_cli import (
    assert_has,
    assert_healthy,
    assert_single_root_cause,
    root_codes,
    run_regdoctor,
)
from tests.support.registry import Registry

pytestmark = [pytest.mark.needs("docker-registry"), pytest.mark.needs_root]

NAME = "münchen.example"
ASCII = "xn--mnchen-3ya.example"
HOSTS = {ASCII: "127.0.0.1"}


@pytest.fixture
def root() -> Authority:
    return root_authority()


@pytest.fixture
def munich(root: Authority, start_registry: StartRegistry, tmp_path: Path) -> Registry:
    """A registry with a certificate for the A-label form of its name, the only one that there is in X.509."""
    tls = root.issue([ASCII], ()).write(tmp_path / "tls")
    return start_registry(name=ASCII, tls=tls)


class TestNameOfAnotherScript:
    @pytest.mark.parametrize(
        "target", [f"{NAME}:PORT", f"https://{NAME}:PORT", "MÜNCHEN.Example:PORT", f"{ASCII}:PORT"]
    )
    def test_is_healthy_however_it_is_written(self, munich: Registry, target: str) -> None:
        """Name service, SNI, the certificate's names and the folder of authorities all go by A-labels."""
        target = target.replace("PORT", str(munich.port))
        folder = f"/etc/docker/certs.d/{ASCII}:{munich.port}"
        assert munich.tls is not None

        result = run_regdoctor("check", target, hosts=HOSTS, files={f"{folder}/ca.crt": munich.tls.ca})

        assert_healthy(result)
        (report,) = result.report["targets"]
        assert (report["target"], report["registry"]) == (target, f"{ASCII}:{munich.port}")
        (seen,) = report["facts"]["handshakes"].values()
        assert {each["server_name"] for each in seen["handshakes"]} == {ASCII}

    def test_is_healthy_in_the_name_of_an_image(self, munich: Registry) -> None:
        assert munich.tls is not None
        push_image(munich, "team/app", "1.0")

        result = run_regdoctor(
            "check", f"{NAME}:{munich.port}/team/app:1.0", "--cacert", munich.tls.ca, hosts=HOSTS
        )

        assert_healthy(result)
        note = assert_has(result, "image/invalid-reference")
        assert note["severity"] == "info"
        assert f"write {ASCII}:{munich.port}/team/app:1.0" in note["fix"]

    def test_that_the_certificate_does_not_cover(
        self, root: Authority, start_registry: StartRegistry, tmp_path: Path
    ) -> None:
        tls = root.issue(["muenchen.example"], ()).write(tmp_path / "tls")
        registry = start_registry(name=ASCII, tls=tls)
        page = tmp_path / "report.html"

        result = run_regdoctor(
            *("check", f"{NAME}:{registry.port}", "--cacert", tls.ca, "--output", f"html={page}"),
            *("--output", f"text={tmp_path / 'report.txt'}"),
            hosts=HOSTS,
        )

        found = assert_single_root_cause(result, "tls/hostname-mismatch")
        assert f"not for {ASCII}" in found["detail"]
        assert f"-servername {ASCII}" in found["reproduce"]
        for report in (page.read_text(), (tmp_path / "report.txt").read_text()):
            assert f"{NAME}:{registry.port}" in report

    def test_that_nobody_knows(self) -> None:
        result = run_regdoctor("check", f"{NAME}:5000/app", hosts={}, resolv_conf="nameserver 127.0.0.53\n")

        assert root_codes(result.report) == ["dns/resolver-refused"]
        assert ASCII in result.report["targets"][0]["root_causes"][0]["detail"]


class TestIPv6Literal:
    def test_is_healthy_with_the_folder_called_like_it(
        self, root: Authority, start_registry: StartRegistry, tmp_path: Path
    ) -> None:
        registry = start_registry(host="::1", name="::1", tls=root.issue([], ["::1"]).write(tmp_path / "tls"))
        folder = f"/etc/docker/certs.d/[::1]:{registry.port}"

        for target in (f"[::1]:{registry.port}", f"https://[0:0::1]:{registry.port}"):
            files = {f"{folder}/ca.crt": root.ca_pem} if target.startswith("[") else {}
            arguments = () if files else ("--cacert", root.write_ca(tmp_path / "ca.pem"))
            assert_healthy(run_regdoctor("check", target, *arguments, files=files))

    def test_that_the_certificate_does_not_list(
        self, root: Authority, start_registry: StartRegistry, tmp_path: Path
    ) -> None:
        tls = root.issue(["reg.test"], ["127.0.0.1"]).write(tmp_path / "tls")
        registry = start_registry(host="::1", name="::1", tls=tls)

        result = run_regdoctor("check", f"[::1]:{registry.port}", "--cacert", tls.ca)

        assert assert_single_root_cause(result, "tls/no-ip-san")["host"] == f"[::1]:{registry.port}"


class TestSeveralTargets:
    def test_have_each_its_own_verdict(
        self, munich: Registry, root: Authority, start_registry: StartRegistry, tmp_path: Path
    ) -> None:
        literal = start_registry(host="::1", name="::1")
        with HTTPServer(lambda _request: json_answer(200, {"status": "ok"})) as other:
            result = run_regdoctor(
                "check",
                *(f"{NAME}:{munich.port}", f"http://[::1]:{literal.port}", f"http://127.0.0.1:{other.port}"),
                *("--cacert", root.write_ca(tmp_path / "ca.pem")),
                hosts=HOSTS,
            )

        verdicts = [(each["target"], each["verdict"]) for each in result.report["targets"]]
        assert verdicts == [
            (f"{NAME}:{munich.port}", "healthy"),
            (f"http://[::1]:{literal.port}", "healthy"),
            (f"http://127.0.0.1:{other.port}", "failing"),
        ]
        assert root_codes(result.report) == ["http/not-a-registry"]
