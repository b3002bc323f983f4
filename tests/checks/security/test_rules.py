"""From what was seen of a registry to who could do what, with no registry."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from regdoctor.api import (
    Addresses,
    Certainty,
    Challenges,
    ConfiguredFile,
    ConfiguredFiles,
    CredentialKind,
    Credentials,
    DebugAnswer,
    DebugEndpoints,
    Draft,
    Each,
    EffectiveConfiguration,
    Endpoint,
    FileKind,
    FileState,
    FilteredPort,
    FilterOutcome,
    LegacyHandshake,
    LegacyHandshakes,
    Listener,
    PacketFilter,
    Permission,
    Permissions,
    Ping,
    Product,
    Refusal,
    Role,
    RunningRegistries,
    RunningRegistry,
    Settings,
    Severity,
    TokenService,
    Vendor,
    challenges,
)
from regdoctor.checks.security import rules
from regdoctor.host.config_file import parse_config
from tests.support.facts import REGISTRY_HEADERS, answer, endpoint

PRIVATE, PUBLIC, LOOPBACK = "10.77.0.2", "8.8.8.8", "127.0.0.1"
ENDPOINT = endpoint(scheme="http", host="reg.test", port=5000)
TOKEN_SERVER = endpoint(Role.TOKEN_SERVER, scheme="http", host="auth.test", port=80)
CLIENT, HOST = Settings(), Settings(profile="host")


def endpoints(*others: Endpoint) -> Each[Endpoint]:
    return Each({each: each for each in (ENDPOINT, *others)})


def addresses(address: str = PRIVATE, **others: str) -> Each[Addresses]:
    found = {ENDPOINT: address} | ({TOKEN_SERVER: others["token_server"]} if others else {})
    return Each(
        {
            each: Addresses(host=each.host, literal=False, addresses=(leads_to,), seconds=0.01)
            for each, leads_to in found.items()
        }
    )


def configuration(text: str = "") -> EffectiveConfiguration:
    whole = f"version: 0.1\nstorage: {{inmemory: }}\n{text}"
    return EffectiveConfiguration(
        settings=parse_config(whole.encode(), "/config.yml"), versions=frozenset({"2.8"})
    )


def permissions(**allowed: bool | None) -> Permissions:
    return Permissions(
        repository=None,
        anonymous=tuple(
            Permission(action=action, allowed=each, why="it was tried", exchange="x1")
            for action, each in allowed.items()
        ),
    )


def codes(drafts: list[Draft]) -> list[tuple[str, Severity | None]]:
    return [(draft.code, draft.severity) for draft in drafts]


class TestAnonymous:
    def judge(
        self,
        seen: Permissions,
        address: str = PRIVATE,
        settings: Settings = CLIENT,
        vendor: Vendor | None = None,
    ) -> list[Draft]:
        product = Product(vendor=vendor) if vendor is not None else None
        return list(rules.anonymous(seen, endpoints(), addresses(address), settings, product))

    @pytest.mark.parametrize(
        ("address", "settings", "severity"),
        [
            (PRIVATE, CLIENT, Severity.INFO),
            (LOOPBACK, CLIENT, Severity.INFO),
            (LOOPBACK, HOST, Severity.INFO),
            (PRIVATE, HOST, None),
            (PUBLIC, CLIENT, None),
        ],
    )
    def test_who_reaches_it_says_how_grave_it_is(
        self, address: str, settings: Settings, severity: Severity | None
    ) -> None:
        found = self.judge(permissions(push=True, catalog=True), address, settings)
        assert codes(found) == [
            ("security/anonymous-push", severity),
            ("security/anonymous-catalog", severity),
        ]

    def test_pulls_are_a_note(self) -> None:
        (draft,) = self.judge(permissions(pull=True), PUBLIC)
        assert (draft.code, draft.endpoint) == ("security/anonymous-pull", ENDPOINT)

    @pytest.mark.parametrize("allowed", [False, None])
    def test_what_is_refused_or_not_known(self, allowed: bool | None) -> None:
        assert self.judge(permissions(pull=allowed, push=allowed, catalog=allowed), PUBLIC, HOST) == []

    def test_a_service_that_is_meant_so(self) -> None:
        assert self.judge(permissions(pull=True, catalog=True), PUBLIC, vendor=Vendor.DOCKER_HUB) == []
        assert len(self.judge(permissions(pull=True), PUBLIC, vendor=Vendor.HARBOR)) == 1


OWN = RunningRegistry(
    pid=7, program="registry", user=0, listeners=(Listener(address="::", port=5000, user=0, pid=7),)
)


class TestConfiguredForAnybody:
    def judge(
        self,
        text: str = "http: {addr: ':5000'}\n",
        *,
        status: int | None = 200,
        own: RunningRegistry | None = OWN,
        settings: Settings = HOST,
        shown: bool | None = None,
        outcome: FilterOutcome | None = None,
        target: Endpoint = ENDPOINT,
    ) -> list[Draft]:
        pings: Each[Ping] = Each(
            {}
            if status is None
            else {target: Ping(answer=answer(status, headers=REGISTRY_HEADERS), trusted=True)}
        )
        running = RunningRegistries(registries=(own,) if own else (), serving=own.pid if own else None)
        ports = (FilteredPort(address=PRIVATE, port=5000, outcome=outcome),) if outcome is not None else ()
        return list(
            rules.configured_for_anybody(
                configuration(text),
                permissions(push=shown),
                pings,
                Each({target: target}),
                running,
                PacketFilter(ports=ports),
                settings,
            )
        )

    def test_it_has_no_auth_section(self) -> None:
        (draft,) = self.judge()
        assert (draft.code, draft.certainty) == ("security/anonymous-push", Certainty.LIKELY)
        assert draft.severity is Severity.WARNING
        assert draft.evidence[0].startswith("/config.yml:3")

    def test_beside_a_proxy_that_asks(self) -> None:
        (draft,) = self.judge(status=401, target=replace(ENDPOINT, port=443))
        assert "open beside the proxy" in draft.detail

    @pytest.mark.parametrize(
        "text",
        [
            "http: {addr: '127.0.0.1:5000'}\n",
            "http: {addr: ':5000'}\nauth: {htpasswd: {realm: a, path: /b}}\n",
            "http: {addr: ':5000'}\nproxy: {remoteurl: https://registry-1.docker.io}\n",
            "http: {addr: ':5000', tls: {certificate: /a, key: /b, clientcas: [/c]}}\n",
            "http: {addr: /run/registry.sock, net: unix}\n",
            "http: {secret: a}\n",
        ],
    )
    def test_not_everybody_may(self, text: str) -> None:
        assert self.judge(text) == []

    def test_maintenance_refuses_pushes(self) -> None:
        storage = "{inmemory: , maintenance: {readonly: {enabled: true}}}"
        text = f"version: 0.1\nstorage: {storage}\nhttp: {{addr: ':5000'}}\n"
        settings = parse_config(text.encode(), "/config.yml")
        own = EffectiveConfiguration(settings=settings, versions=frozenset({"2.8"}))
        pings = Each({ENDPOINT: Ping(answer=answer(200, headers=REGISTRY_HEADERS), trusted=True)})
        found = rules.configured_for_anybody(own, None, pings, endpoints(), None, None, HOST)
        assert list(found) == []

    def test_a_client_cannot_know_whose_configuration_it_is(self) -> None:
        assert self.judge(settings=CLIENT) == []

    def test_it_was_shown_already(self) -> None:
        assert self.judge(shown=True) == []

    def test_nothing_runs(self) -> None:
        assert self.judge(own=None, status=None) == []

    def test_its_own_port_asks_for_a_login(self) -> None:
        assert self.judge(status=401) == []

    def test_a_containers_port_may_not_be_published(self) -> None:
        contained = replace(OWN, own_network=True, container=True)
        assert self.judge(own=contained, target=replace(ENDPOINT, port=443)) == []
        assert len(self.judge(own=contained)) == 1

    def test_the_firewall_keeps_everybody_out(self) -> None:
        assert self.judge(outcome=FilterOutcome.BLOCKED) == []
        assert len(self.judge(outcome=FilterOutcome.UNCLEAR)) == 1


def asked(challenge: str | None) -> Challenges:
    headers = {"WWW-Authenticate": challenge} if challenge is not None else {}
    seen = answer(401 if challenge is not None else 200, headers=headers)
    found = challenges.parse_challenges(seen.all_headers("www-authenticate"))
    return Challenges(
        answer=seen, challenges=found, at_ping=True, ping_status=seen.status, ping_exchange="x1"
    )


BASIC = asked('Basic realm="tests"')
BEARER = asked('Bearer realm="http://auth.test/token"')
ALICE = Credentials(key="reg.test", kind=CredentialKind.PASSWORD, username="alice", source="--username")
NOBODY = Credentials(key="reg.test")


class TestCredentialsOverHttp:
    def judge(
        self,
        seen: Challenges = BASIC,
        credentials: Credentials | None = ALICE,
        *,
        leads_to: Each[Addresses] | None = None,
        service: TokenService | None = None,
        target: Endpoint = ENDPOINT,
    ) -> list[Draft]:
        leads_to = leads_to or addresses()
        return list(rules.credentials_over_http(Each({target: target}), leads_to, seen, service, credentials))

    def test_a_password_would_be_sent(self) -> None:
        (draft,) = self.judge()
        assert draft.severity is None
        assert "of alice from --username" in draft.detail

    @pytest.mark.parametrize("credentials", [NOBODY, None])
    def test_there_is_none_yet(self, credentials: Credentials | None) -> None:
        (draft,) = self.judge(credentials=credentials)
        assert draft.severity is Severity.WARNING

    def test_nobody_reads_along_on_loopback(self) -> None:
        (draft,) = self.judge(leads_to=addresses(LOOPBACK))
        assert draft.severity is Severity.INFO

    def test_a_token_server_without_tls(self) -> None:
        service = TokenService(realm="http://auth.test/token", host=TOKEN_SERVER, endpoints=(TOKEN_SERVER,))
        https = replace(ENDPOINT, scheme="https")
        (draft,) = self.judge(BEARER, service=service, target=https, leads_to=addresses(token_server=PRIVATE))
        assert "the token server http://auth.test:80" in draft.detail

    def test_a_token_server_with_tls(self) -> None:
        host = replace(TOKEN_SERVER, scheme="https", port=443)
        service = TokenService(realm="https://auth.test/token", host=host, endpoints=(host,))
        assert self.judge(BEARER, service=service) == []

    def test_the_registry_has_tls(self) -> None:
        assert self.judge(target=replace(ENDPOINT, scheme="https")) == []

    def test_no_login_is_asked_for(self) -> None:
        assert self.judge(asked(None)) == []


class TestDebugEndpoint:
    def judge(self, *shown: str | None, address: str = PRIVATE, settings: Settings = CLIENT) -> list[Draft]:
        answers = tuple(
            DebugAnswer(url=f"http://reg.test:5001/{number}", exchange=f"x{number}", status=200, shows=each)
            for number, each in enumerate(shown)
        )
        debug = DebugEndpoints(source="/config.yml:9", address=":5001", answers=answers)
        return list(rules.debug_endpoint_open(endpoints(), debug, addresses(address), settings))

    def test_it_answers(self) -> None:
        (draft,) = self.judge("variables", "profiles", "metrics")
        assert (draft.code, draft.certainty) == ("security/debug-endpoint-open", Certainty.PROVEN)
        assert draft.evidence == ("x0", "x1", "x2", "/config.yml:9")

    @pytest.mark.parametrize(("address", "settings"), [(PRIVATE, HOST), (LOOPBACK, CLIENT)])
    def test_asked_on_its_own_host_others_may_be_kept_away(self, address: str, settings: Settings) -> None:
        (draft,) = self.judge("variables", address=address, settings=settings)
        assert draft.certainty is Certainty.LIKELY

    def test_something_else_answers(self) -> None:
        assert self.judge(None, None) == []
        assert self.judge() == []


class TestProcess:
    def judge(self, **changes: object) -> list[tuple[str, Severity | None]]:
        own = replace(OWN, **changes)
        return codes(list(rules.running_as_root(RunningRegistries(registries=(own,), serving=7))))

    def test_root(self) -> None:
        assert self.judge() == [("security/running-as-root", None)]

    def test_root_of_a_container(self) -> None:
        assert self.judge(container=True) == [("security/running-as-root", Severity.INFO)]

    def test_nobody_of_importance(self) -> None:
        assert self.judge(user=65534) == []
        assert self.judge(container=True, own_user_ids=True) == []

    def test_another_registry(self) -> None:
        assert list(rules.running_as_root(RunningRegistries(registries=(OWN,)))) == []


class TestKeys:
    def judge(
        self,
        setting: tuple[str, ...] = ("http", "tls", "key"),
        mode: int | None = 0o644,
        *,
        others_enter: bool = True,
        settings: Settings = CLIENT,
    ) -> list[Draft]:
        file = ConfiguredFile(
            setting=setting, path="/a b", state=FileState.USABLE, mode=mode, others_enter=others_enter
        )
        return list(rules.key_permissions(ConfiguredFiles(files=(file,)), settings))

    @pytest.mark.parametrize("setting", [("http", "tls", "key"), ("auth", "htpasswd", "path")])
    def test_everybody_may_read_it(self, setting: tuple[str, ...]) -> None:
        (draft,) = self.judge(setting)
        assert "mode 0644" in draft.detail
        assert draft.fix == ("chmod o-rwx '/a b'",)

    def test_not_everybody_may(self) -> None:
        assert self.judge(mode=0o640) == []
        assert self.judge(mode=None) == []
        assert self.judge(others_enter=False) == []

    def test_certificates_are_for_everybody(self) -> None:
        assert self.judge(("http", "tls", "certificate")) == []

    def test_of_a_file_by_itself_the_host_is_another_one(self) -> None:
        assert self.judge(settings=Settings(lint=FileKind.REGISTRY)) == []


class TestLegacyTls:
    ACCEPTED = LegacyHandshake(address=PRIVATE, protocol="TLSv1.1", cipher="ECDHE-RSA-AES128-SHA")

    def judge(self, *accepted: LegacyHandshake, vendor: Vendor | None = None) -> list[Draft]:
        product = Product(vendor=vendor) if vendor is not None else None
        return list(rules.legacy_tls_enabled(ENDPOINT, LegacyHandshakes(accepted=accepted), product))

    def test_is_accepted(self) -> None:
        (draft,) = self.judge(self.ACCEPTED)
        assert "TLSv1.1 with ECDHE-RSA-AES128-SHA at 10.77.0.2" in draft.detail

    def test_is_refused(self) -> None:
        assert self.judge() == []

    def test_nobody_can_change_it_there(self) -> None:
        assert self.judge(self.ACCEPTED, vendor=Vendor.ECR) == []


class TestAuditLog:
    def judge(self, text: str, refusal: Refusal | None = None) -> list[tuple[str, Severity | None]]:
        return codes(list(rules.audit_log_off(configuration(text), refusal)))

    def test_nothing_records(self) -> None:
        for level in ("error", "warn", "ERROR"):
            text = f"log: {{level: {level}, accesslog: {{disabled: true}}}}\n"
            assert self.judge(text) == [("security/audit-log-off", None)]

    def test_the_registrys_own_lines_do(self) -> None:
        assert self.judge("log: {accesslog: {disabled: true}}\n") == [
            ("security/audit-log-off", Severity.INFO)
        ]

    @pytest.mark.parametrize(
        "text", ["", "log: {level: error}\n", "log: {level: error, accesslog: {disabled: false}}\n"]
    )
    def test_the_access_log_does(self, text: str) -> None:
        assert self.judge(text) == []

    def test_somebody_is_notified(self) -> None:
        off = "log: {level: error, accesslog: {disabled: true}}\n"
        notified = f"{off}notifications: {{endpoints: [{{name: a, url: 'http://a.test/'}}]}}\n"
        disabled = (
            f"{off}notifications: {{endpoints: [{{name: a, url: 'http://a.test/', disabled: true}}]}}\n"
        )
        assert self.judge(notified) == []
        assert self.judge(disabled) == [("security/audit-log-off", None)]

    def test_the_reason_of_a_refusal_is_hidden(self) -> None:
        token = "auth: {token: {realm: 'https://a/', service: a, issuer: b, rootcertbundle: /c}}\n"
        refusal = Refusal(answer=answer(401))
        assert self.judge(f"log: {{level: error}}\n{token}", refusal) == [("security/audit-log-off", None)]
        assert self.judge(f"log: {{level: error}}\n{token}") == []
        assert self.judge(f"log: {{level: info}}\n{token}", refusal) == []
