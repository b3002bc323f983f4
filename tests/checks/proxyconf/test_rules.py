"""What is made of a reverse proxy's configuration: facts in, findings out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from regdoctor.api import Certainty, Draft, FileKind, Location, ProxyConfig, Severity
from regdoctor.facts import Answer, SizeTrial, SlowUpload, SlowUploads, UploadSession, UploadSizes, UploadStep
from tests.checks.config.judging import effective
from tests.checks.proxyconf.judging import HEADERS, PASS, STREAMED, drafts_of, nginx, read
from tests.support.facts import REGISTRY_HEADERS, answer, endpoint

REGISTRY = endpoint()
ODD_PORT = endpoint(port=8443)
MB = 1_000_000


def single(drafts: list[Draft], code: str) -> Draft:
    found = [each for each in drafts if each.code == code]
    assert len(found) == 1, [(each.code, each.detail) for each in drafts]
    return found[0]


def codes(drafts: list[Draft]) -> set[str]:
    return {each.code for each in drafts if each.severity is not Severity.INFO}


def step(status: int, *, method: str = "PATCH", seconds: float = 0.01) -> UploadStep:
    made: Answer = answer(status, headers=REGISTRY_HEADERS, method=method, seconds=seconds)
    return UploadStep(method=method, answer=made, seconds=seconds)


def session(location: Location | None = None, **changes: Any) -> UploadSession:
    return UploadSession(
        repository="team/app",
        own_repository=False,
        authorization="none",
        start=step(202, method="POST"),
        location=location,
        **changes,
    )


def passed(size: int, *, announced: bool = False) -> UploadSizes:
    return UploadSizes(trials=(SizeTrial(size=size, announced=announced, step=step(202)),))


def paced(
    steady: UploadStep, pausing: UploadStep, *, seconds: float = 5, pause: float = 4, whole: bool = False
) -> SlowUploads:
    start = step(202, method="POST")

    def upload(each: UploadStep, pause: float) -> SlowUpload:
        return SlowUpload(start=start, step=each, planned=seconds, pause=pause, whole=whole or each.succeeded)

    return SlowUploads(steady=upload(steady, 0.25), pausing=upload(pausing, pause))


def haproxy(folder: Path, *, frontend: str = "", backend: str = "") -> ProxyConfig:
    return read(
        folder,
        FileKind.HAPROXY,
        "defaults\n  mode http\n  timeout server 30m\nfrontend web\n  bind :443 ssl crt x\n"
        "  http-request set-header X-Forwarded-Proto https if { ssl_fc }\n"
        f"{frontend}\n  default_backend registries\nbackend registries\n{backend}\n  server r 127.0.0.1:5000\n",
    )


def caddy(folder: Path, *, site: str = "", proxy: str = "", options: str = "") -> ProxyConfig:
    return read(
        folder,
        FileKind.CADDY,
        f"{{\n{options}\n}}\nreg.test {{\n{site}\nreverse_proxy 127.0.0.1:5000 {{\n{proxy}\n}}\n}}\n",
    )


class TestHealthy:
    @pytest.mark.parametrize("target", [None, REGISTRY, endpoint(port=8443)])
    def test_what_is_right_gives_nothing(self, tmp_path: Path, target: Any) -> None:
        port = 443 if target is None else target.port

        assert drafts_of(nginx(tmp_path, listen=f"listen {port} ssl; server_name reg.test;"), target) == []

    @pytest.mark.parametrize("target", [None, REGISTRY])
    def test_haproxy_and_caddy_need_little(self, tmp_path: Path, target: Any) -> None:
        assert drafts_of(haproxy(tmp_path), target) == []
        assert drafts_of(caddy(tmp_path), target) == []

    def test_a_service_that_is_no_registry_is_not_judged(self, tmp_path: Path) -> None:
        web = nginx(
            tmp_path,
            listen="listen 443 ssl; server_name www.test;",
            server="",
            headers="",
            passing="proxy_pass http://10.0.0.1:8080;",
        )

        assert drafts_of(web) == []


class TestBodySize:
    def test_a_written_limit(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, server="client_max_body_size 20m;")
        draft = single(drafts_of(config), "proxyconf/body-size")

        assert draft.severity is None
        assert draft.certainty is Certainty.PROVEN
        assert draft.evidence == (f"{tmp_path}/nginx.conf:4:1",)
        assert "20 MiB" in draft.detail
        assert draft.fix[0].startswith(f"client_max_body_size 0; at {tmp_path}/nginx.conf:4:1")

    def test_the_default(self, tmp_path: Path) -> None:
        draft = single(drafts_of(nginx(tmp_path, server="")), "proxyconf/body-size")

        assert draft.evidence == (f"{tmp_path}/nginx.conf:5:1",)
        assert "the default is 1m" in draft.detail

    def test_the_default_is_not_named_where_a_file_was_not_read(self, tmp_path: Path) -> None:
        assert drafts_of(nginx(tmp_path, server="include limits.inc;")) == []

    @pytest.mark.parametrize(
        ("size", "severity"), [("256m", None), ("512m", Severity.WARNING), ("5g", Severity.INFO)]
    )
    def test_large_limits_hinder_few(self, tmp_path: Path, size: str, severity: Severity | None) -> None:
        drafts = drafts_of(nginx(tmp_path, server=f"client_max_body_size {size};"))

        assert single(drafts, "proxyconf/body-size").severity is severity

    def test_a_limit_beyond_any_layer_is_none(self, tmp_path: Path) -> None:
        assert drafts_of(nginx(tmp_path, server="client_max_body_size 50g;")) == []

    def test_a_larger_upload_shows_that_another_file_is_at_work(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, server="client_max_body_size 1m;")
        draft = single(drafts_of(config, REGISTRY, sizes=passed(6 * MB)), "proxyconf/body-size")

        assert draft.severity is Severity.INFO
        assert "another file than this is at work" in draft.detail

    def test_one_that_was_only_announced_shows_nothing(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, server="client_max_body_size 1m;")
        draft = single(
            drafts_of(config, REGISTRY, sizes=passed(6 * MB, announced=True)), "proxyconf/body-size"
        )

        assert draft.severity is None

    def test_a_limit_of_announcements_is_likely_and_not_refuted_by_bodies_that_announce_nothing(
        self, tmp_path: Path
    ) -> None:
        config = haproxy(tmp_path, frontend="  http-request deny if { req.body_size gt 1000000 }")
        draft = single(drafts_of(config, REGISTRY, sizes=passed(6 * MB)), "proxyconf/body-size")

        assert (draft.severity, draft.certainty) == (None, Certainty.LIKELY)
        assert draft.evidence == (f"{tmp_path}/haproxy.cfg:7:3",)

    def test_one_setting_for_two_ways_is_one_finding(self, tmp_path: Path) -> None:
        config = nginx(
            tmp_path,
            server=f"client_max_body_size 1m; location /v2/ {{ {HEADERS} {PASS} {STREAMED} }}",
        )

        assert "location /v2/" in single(drafts_of(config), "proxyconf/body-size").detail

    def test_a_way_for_pulls_only_may_have_any(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, server="", location="limit_except GET { deny all; }")

        assert "proxyconf/body-size" not in codes(drafts_of(config))


class TestForwardedProto:
    def test_a_proxy_that_ends_tls_and_does_not_say_so(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, headers="proxy_set_header Host $http_host;")
        draft = single(drafts_of(config), "proxyconf/forwarded-proto")

        assert draft.certainty is Certainty.LIKELY
        assert "begins with http://reg.test" in draft.detail
        assert draft.evidence == (f"{tmp_path}/nginx.conf:5:1",)

    def test_the_block_that_sets_it_in_vain_is_named(self, tmp_path: Path) -> None:
        config = nginx(
            tmp_path, server=f"client_max_body_size 0; {HEADERS}", headers="proxy_set_header Host $http_host;"
        )
        draft = single(drafts_of(config), "proxyconf/forwarded-proto")

        assert f"{tmp_path}/nginx.conf:4:" in draft.detail
        assert "switch off those around it" in draft.detail

    @pytest.mark.parametrize(
        "headers",
        [
            "",
            "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https;",
            "proxy_set_header Host $http_host; proxy_redirect http:// https://;",
            "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $cookie_x;",
        ],
    )
    def test_ways_that_work_without_scheme(self, tmp_path: Path, headers: str) -> None:
        assert drafts_of(nginx(tmp_path, headers=headers)) == []

    def test_what_a_client_sends_is_not_enough(self, tmp_path: Path) -> None:
        headers = (
            "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $http_x_forwarded_proto;"
        )

        single(drafts_of(nginx(tmp_path, headers=headers)), "proxyconf/forwarded-proto")

    def test_https_said_where_clients_come_by_http(self, tmp_path: Path) -> None:
        headers = "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto https;"
        config = nginx(tmp_path, listen="listen 80; server_name reg.test;", headers=headers)

        assert "clients come by http" in single(drafts_of(config), "proxyconf/forwarded-proto").detail

    def test_a_registry_with_an_address_of_its_own_does_not_need_it(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, headers="proxy_set_header Host $http_host;")
        for http in ("host: https://reg.test", "relativeurls: true"):
            _file, _variables, registry = effective(
                f"version: 0.1\nstorage: {{inmemory: {{}}}}\nhttp: {{{http}}}\n"
            )

            assert drafts_of(config, REGISTRY, registry=registry) == []

    def test_an_upload_with_a_right_location_settles_it(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, headers="proxy_set_header Host $http_host;")

        assert drafts_of(config, REGISTRY, session=session(Location(url="https://reg.test/v2/x"))) == []

    def test_an_upload_with_a_wrong_one_proves_it(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, headers="proxy_set_header Host $http_host;")
        wrong = Location(url="http://reg.test/v2/x", scheme_changed=True)
        draft = single(drafts_of(config, REGISTRY, session=session(wrong)), "proxyconf/forwarded-proto")

        assert draft.certainty is Certainty.PROVEN
        assert "http.relativeurls" not in draft.detail

    def test_an_upload_that_went_on_there_all_the_same_is_a_warning(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, headers="proxy_redirect off;")
        wrong = Location(
            url="http://127.0.0.1:5000/v2/x", scheme_changed=True, host_changed=True, port_changed=True
        )
        drafts = drafts_of(config, REGISTRY, session=session(wrong, elsewhere=step(204, method="GET")))

        assert {each.severity for each in drafts} == {Severity.WARNING}

    def test_of_a_proxy_behind_another_one_nothing_is_said_before_https_was_answered(
        self, tmp_path: Path
    ) -> None:
        headers = "proxy_set_header Host $http_host; proxy_set_header X-Forwarded-Proto $scheme;"
        config = nginx(tmp_path, listen="listen 80; server_name reg.test;", headers=headers)

        assert drafts_of(config, REGISTRY, answered=False) == []
        assert (
            "another proxy in front"
            in single(drafts_of(config, REGISTRY), "proxyconf/forwarded-proto").detail
        )

    @pytest.mark.parametrize("line", ["header_up X-Forwarded-Proto http", "header_up -X-Forwarded-Proto"])
    def test_caddy(self, tmp_path: Path, line: str) -> None:
        draft = single(drafts_of(caddy(tmp_path, proxy=line)), "proxyconf/forwarded-proto")

        assert draft.evidence == (f"{tmp_path}/Caddyfile:7:1",)
        assert (
            draft.fix[0]
            == f"remove the line at {tmp_path}/Caddyfile:7:1: Caddy sets X-Forwarded-Proto rightly by itself"
        )

    def test_haproxy(self, tmp_path: Path) -> None:
        config = haproxy(tmp_path, backend="  http-request set-header X-Forwarded-Proto http")

        assert single(drafts_of(config), "proxyconf/forwarded-proto").evidence == (
            f"{tmp_path}/haproxy.cfg:10:3",
        )


class TestHostHeader:
    SCHEME = "proxy_set_header X-Forwarded-Proto $scheme;"

    def test_the_upstream_s_name_leaks(self, tmp_path: Path) -> None:
        draft = single(drafts_of(nginx(tmp_path, headers=self.SCHEME)), "proxyconf/host-header")

        assert draft.severity is None
        assert "begins with https://127.0.0.1:5000" in draft.detail

    def test_a_lost_port(self, tmp_path: Path) -> None:
        config = nginx(
            tmp_path,
            listen="listen 8443 ssl; server_name reg.test;",
            headers=f"{self.SCHEME}\nproxy_set_header Host $host;",
        )
        draft = single(drafts_of(config, ODD_PORT), "proxyconf/host-header")

        assert draft.severity is None
        assert draft.evidence == (f"{tmp_path}/nginx.conf:7:1",)
        assert "https://reg.test:8443 with a Location that begins with https://reg.test." in draft.detail

    def test_which_port_clients_use_is_not_known_of_a_file_by_itself(self, tmp_path: Path) -> None:
        config = nginx(
            tmp_path,
            listen="listen 8443 ssl; server_name reg.test;",
            headers=f"{self.SCHEME} proxy_set_header Host $host;",
        )

        assert single(drafts_of(config), "proxyconf/host-header").severity is Severity.WARNING

    @pytest.mark.parametrize(
        "value", ["$host", "$http_host", "reg.test", "$server_name", "$host:$server_port"]
    )
    def test_the_default_port_cannot_get_lost(self, tmp_path: Path, value: str) -> None:
        assert (
            drafts_of(nginx(tmp_path, headers=f"{self.SCHEME} proxy_set_header Host {value};"), REGISTRY)
            == []
        )

    def test_x_forwarded_host_counts_more(self, tmp_path: Path) -> None:
        headers = f"{self.SCHEME} proxy_set_header X-Forwarded-Host $http_host;"

        assert drafts_of(nginx(tmp_path, headers=headers)) == []

    def test_caddy(self, tmp_path: Path) -> None:
        config = caddy(tmp_path, proxy="header_up X-Forwarded-Host registry.internal")

        assert "https://registry.internal" in single(drafts_of(config), "proxyconf/host-header").detail
        assert drafts_of(caddy(tmp_path, proxy="header_up Host {upstream_hostport}")) == []


class TestBuffering:
    def test_written(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, location="client_body_temp_path /spool;\nproxy_request_buffering on;")
        draft = single(drafts_of(config), "proxyconf/buffering")

        assert draft.evidence == (f"{tmp_path}/nginx.conf:9:1",)
        assert "/spool" in draft.detail

    def test_by_default_with_little_patience(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, location="", passing="proxy_pass http://127.0.0.1:5000;")

        assert single(drafts_of(config), "proxyconf/buffering").severity is None

    def test_by_default_with_patience_it_is_worth_knowing(self, tmp_path: Path) -> None:
        """As in distribution's recipe."""
        assert (
            single(drafts_of(nginx(tmp_path, location="")), "proxyconf/buffering").severity is Severity.INFO
        )

    def test_in_vain_with_http_1_0(self, tmp_path: Path) -> None:
        drafts = drafts_of(nginx(tmp_path, location="proxy_request_buffering off;"))

        assert "proxy_http_version 1.1 is missing" in single(drafts, "proxyconf/buffering").detail

    def test_caddy(self, tmp_path: Path) -> None:
        assert codes(drafts_of(caddy(tmp_path, proxy="request_buffers unlimited"))) == {"proxyconf/buffering"}
        assert drafts_of(caddy(tmp_path, proxy="request_buffers 64KiB")) == []


class TestTimeout:
    @pytest.mark.parametrize(
        ("passing", "severity"),
        [
            ("proxy_read_timeout 5s;", Severity.WARNING),
            ("", Severity.INFO),
            ("proxy_read_timeout 120s;", Severity.INFO),
            ("proxy_read_timeout 300s;", "none"),
        ],
    )
    def test_the_patience_of_nginx(self, tmp_path: Path, passing: str, severity: Severity | str) -> None:
        drafts = drafts_of(nginx(tmp_path, passing=f"proxy_pass http://127.0.0.1:5000; {passing}"))

        assert (drafts[0].severity if drafts else "none") == severity

    def test_a_pause_of_the_client(self, tmp_path: Path) -> None:
        draft = single(drafts_of(nginx(tmp_path, http="client_body_timeout 5s;")), "proxyconf/timeout")

        assert draft.evidence == (f"{tmp_path}/nginx.conf:2:1",)

    @pytest.mark.parametrize(("after", "proven"), [(5.1, True), (3.5, False), (9.0, True), (7.4, False)])
    def test_an_upload_that_was_ended_when_the_timer_ran_out_proves_it(
        self, tmp_path: Path, after: float, proven: bool
    ) -> None:
        config = nginx(tmp_path, http="client_body_timeout 5s;")
        slow = paced(step(202, seconds=10), step(408, seconds=after), seconds=10, pause=4)
        draft = single(drafts_of(config, REGISTRY, slow=slow), "proxyconf/timeout")

        assert (draft.certainty is Certainty.PROVEN) == proven

    def test_one_that_took_longer_shows_that_another_file_is_at_work(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, http="client_body_timeout 2s;")
        slow = paced(step(202, seconds=5), step(202, seconds=5))
        draft = single(drafts_of(config, REGISTRY, slow=slow), "proxyconf/timeout")

        assert draft.severity is Severity.INFO
        assert "another configuration" in draft.detail

    def test_a_whole_upload_that_caddy_answers_502_proves_it(self, tmp_path: Path) -> None:
        config = caddy(tmp_path, proxy="transport http {\nread_timeout 3s\n}")
        slow = paced(step(502, seconds=5), step(502, seconds=5), whole=True)

        assert (
            single(drafts_of(config, REGISTRY, slow=slow), "proxyconf/timeout").certainty is Certainty.PROVEN
        )

    def test_haproxy(self, tmp_path: Path) -> None:
        assert codes(drafts_of(haproxy(tmp_path, backend="  timeout server 30s"))) == {"proxyconf/timeout"}

    def test_traefik_has_one_unasked(self, tmp_path: Path) -> None:
        text = (
            "entryPoints:\n  web:\n    address: ':443'\n{}"
            "http:\n  routers:\n    r: {{rule: Host(`reg.test`), service: s, tls: {{}}}}\n"
            "  services:\n    s: {{loadBalancer: {{servers: [{{url: http://127.0.0.1:5000}}]}}}}\n"
        )
        by_default = single(drafts_of(read(tmp_path, FileKind.TRAEFIK, text.format(""))), "proxyconf/timeout")
        off = "    transport: {respondingTimeouts: {readTimeout: 0}}\n"

        assert "the default is 60s" in by_default.detail
        assert drafts_of(read(tmp_path, FileKind.TRAEFIK, text.format(off))) == []


class TestUncertainWays:
    def test_the_port_alone_makes_it_possible(self, tmp_path: Path) -> None:
        config = nginx(tmp_path, listen="listen 443 ssl;", server="client_max_body_size 1m;")
        draft = single(drafts_of(config), "proxyconf/body-size")

        assert (draft.severity, draft.certainty) == (Severity.WARNING, Certainty.POSSIBLE)
        assert "Only the path or the port says" in draft.detail

    def test_a_part_of_a_configuration_makes_defaults_likely(self, tmp_path: Path) -> None:
        path = tmp_path / "registry.conf"
        path.write_text(
            f"server {{ listen 443 ssl; server_name reg.test; location / {{ {HEADERS} {PASS} }} }}"
        )
        from regdoctor.api import proxy_configs

        draft = single(drafts_of(proxy_configs.read(path, FileKind.NGINX)), "proxyconf/body-size")

        assert draft.certainty is Certainty.LIKELY
        assert "the http block around it is not known" in draft.detail
