"""WWW-Authenticate challenges of real registries, and of broken ones, are understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.oci.challenge import Challenge, parse_challenges, realm_downgrades, realm_problem


def only(value: str) -> Challenge:
    (challenge,) = parse_challenges([value])
    return challenge


@pytest.mark.parametrize(
    ("value", "scheme", "realm", "service", "scope"),
    [
        (  # Docker Hub
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io"',
            "bearer",
            "https://auth.docker.io/token",
            "registry.docker.io",
            None,
        ),
        (  # GHCR: a scope with a comma inside the quotes
            'Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:u/i:pull,push"',
            "bearer",
            "https://ghcr.io/token",
            "ghcr.io",
            "repository:u/i:pull,push",
        ),
        (
            'Bearer realm="https://loc-docker.pkg.dev/v2/token"',
            "bearer",
            "https://loc-docker.pkg.dev/v2/token",
            None,
            None,
        ),
        (
            'BASIC realm="Sonatype Nexus Repository Manager"',
            "basic",
            "Sonatype Nexus Repository Manager",
            None,
            None,
        ),
        ("basic realm=zot", "basic", "zot", None, None),
        ('Bearer realm = "https://a/t" , service = reg', "bearer", "https://a/t", "reg", None),
        (',, Bearer REALM="https://a/t",, Service="s",', "bearer", "https://a/t", "s", None),
        (r'Basic realm="a \"quoted\", \\ realm"', "basic", r'a "quoted", \ realm', None, None),
        ('Bearer realm="https://a/t?x=1,2",service=""', "bearer", "https://a/t?x=1,2", "", None),
    ],
)
def test_a_correct_challenge_is_read_without_complaint(
    value: str, scheme: str, realm: str, service: str | None, scope: str | None
) -> None:
    challenge = only(value)
    assert (challenge.scheme, challenge.realm, challenge.service, challenge.scope) == (
        scheme,
        realm,
        service,
        scope,
    )
    assert challenge.problems == ()


def test_several_challenges_in_one_header_keep_their_order_and_parameters() -> None:
    challenges = parse_challenges(
        ['Negotiate, Basic realm="a, b", charset="UTF-8", Bearer realm="https://t/",error="invalid_token"']
    )
    assert [c.scheme for c in challenges] == ["negotiate", "basic", "bearer"]
    assert [c.realm for c in challenges] == [None, "a, b", "https://t/"]
    assert challenges[1].get("charset") == "UTF-8"
    assert challenges[2].error == "invalid_token"
    assert challenges[1].raw == 'Basic realm="a, b", charset="UTF-8"'
    assert all(c.problems == () for c in challenges)


def test_several_headers_are_read_one_after_the_other() -> None:
    challenges = parse_challenges(['Bearer realm="https://t/"', "Basic realm=x"])
    assert [c.scheme for c in challenges] == ["bearer", "basic"]


def test_a_scheme_not_in_any_list_is_found_by_its_parameters() -> None:
    assert [c.scheme for c in parse_challenges(['Basic realm="a", Newfangled key=1'])] == [
        "basic",
        "newfangled",
    ]


@pytest.mark.parametrize("value", ["NTLM TlRMTVNTUAAC", "Negotiate YII+/gYGKwY=="])
def test_a_token68_is_no_parameter(value: str) -> None:
    challenge = only(value)
    assert challenge.token68 == value.split(" ")[1]
    assert (challenge.parameters, challenge.problems) == ((), ())


@pytest.mark.parametrize(
    ("value", "realm", "words"),
    [
        ("basic realm=", "", "realm is empty"),
        ('Bearer realm="https://a/t', "https://a/t", "not closed"),
        ("Bearer realm=https://a/t,service=s", "https://a/t", "must be quoted"),
        ("Bearer realm='https://a/t'", "'https://a/t'", "must be quoted"),
        ('Bearer realm="https://a/t" service="s"', "https://a/t", "no comma"),
        ('realm="https://a/t"', "https://a/t", "without a scheme"),
        ('Bearer realm="https://a/t",realm="https://b/t"', "https://a/t", "twice"),
        ("Bearer realm=x,service=s,scope=repository:a:pull,push", "x", "'push' has no value"),
        ('Bearer realm="https://a/t",scope', "https://a/t", "'scope' has no value"),
        ('Bearer realm="https://a/t","x"', "https://a/t", "not a parameter"),
        ('Bearer:realm="x"', None, "cannot stand there"),
        ('"Bearer"', None, "no scheme"),
        ('Bearer realm="https://u:pw@a/t"', "https://***@a/t", "user name or password"),
    ],
)
def test_what_breaks_the_grammar_is_named_and_the_rest_understood(
    value: str, realm: str | None, words: str
) -> None:
    challenge = only(value)
    assert challenge.realm == realm
    assert any(words in problem for problem in challenge.problems), challenge.problems


def test_user_information_in_a_realm_is_not_kept() -> None:
    assert "pw" not in repr(only('Bearer realm="https://u:pw@a/t"'))


def test_an_empty_or_missing_header_is_no_challenge() -> None:
    assert parse_challenges([]) == parse_challenges(["", " , "]) == ()


@given(st.lists(st.text(alphabet='Bearl zm=,"\\:/1\t', max_size=40) | st.text(max_size=60), max_size=3))
def test_no_header_crashes_the_parser(values: list[str]) -> None:
    for challenge in parse_challenges(values):
        assert challenge.scheme == challenge.scheme.lower()


def test_a_huge_header_is_cut() -> None:
    challenge = only("Bearer " + ",".join(f'p{n}="{"x" * 50}"' for n in range(5000)))
    assert len(challenge.parameters) <= 64
    assert any("cut" in problem for problem in challenge.problems)
    assert len(parse_challenges(["Negotiate," * 2000] * 20)) == 32


_value = st.text(alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)


@given(
    st.lists(
        st.tuples(st.sampled_from(["Basic", "bearer", "X-Other"]), _value, _value), min_size=1, max_size=4
    )
)
def test_what_is_written_by_the_grammar_reads_back(challenges: list[tuple[str, str, str]]) -> None:
    def quoted(value: str) -> str:
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    header = ", ".join(
        f"{scheme} realm={quoted(realm)}, service={quoted(service)}" for scheme, realm, service in challenges
    )
    if "://" in header:
        return
    read = parse_challenges([header])
    assert [(c.scheme, c.realm, c.service, c.problems) for c in read] == [
        (scheme.lower(), realm, service, ()) for scheme, realm, service in challenges
    ]


@pytest.mark.parametrize(
    "realm",
    [
        "https://auth.example.com/token",
        "https://gitlab.test:8443/jwt/auth?x=1",
        "https://[2001:db8::1]:5001/token",
        "https://10.0.0.1/token",
        "http://localhost:5001/auth",
        "HTTPS://auth_server/token",
    ],
)
def test_a_usable_realm_has_no_problem(realm: str) -> None:
    assert realm_problem(realm, "http://reg.test:5000/v2/") is None


@pytest.mark.parametrize(
    ("realm", "words"),
    [
        (None, "empty"),
        ("", "empty"),
        ("Registry Realm", "blanks"),
        ("registry", "not an absolute URL"),
        ("/auth/token", "not an absolute URL"),
        ("auth.test/token", "not an absolute URL"),
        ("//auth.test/token", "not an absolute URL"),
        ("ldap://auth.test/token", "neither http nor https"),
        ("https:///token", "no host"),
        ("https://api./auth/v1/token", "missing"),
        ("https://.test/token", "missing"),
        ("https://auth..test/token", "missing"),
        ("https://nexus:5002:5002/v2/token", "more than one port"),
        ("https://auth.test:/token", "port is missing"),
        ("https://auth.test:99999/token", "65535"),
        ("https://auth.test:50x/token", "digits"),
        ("https://${AUTH_HOST}/token", "'$'"),
        ("https://[::1/token", "not a valid name or address"),
        ("https://u:secret@auth.test/token", "user name or password"),
        ("https://auth.test/token#x", "fragment"),
    ],
)
def test_an_unusable_realm_is_explained(realm: str | None, words: str) -> None:
    problem = realm_problem(realm, "https://reg.test/v2/")
    assert problem is not None
    assert words in problem
    assert "secret" not in problem


def test_a_realm_that_leaves_https_is_a_problem_only_for_an_https_registry() -> None:
    assert "in clear" in (realm_problem("http://auth.test/token", "https://reg.test/v2/") or "")
    assert realm_problem("http://auth.test/token", "http://reg.test/v2/") is None
    assert realm_downgrades("http://auth.test/token", "https://reg.test/v2/")
    assert not realm_downgrades("https://auth.test/token", "http://reg.test/v2/")


def test_an_absolute_name_is_fine_where_the_registry_itself_is_named_so() -> None:
    assert realm_problem("https://auth.test./token", "https://reg.test./v2/") is None
