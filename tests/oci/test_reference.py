"""Image references and targets are read as docker, podman and containerd read them."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from regdoctor.oci.reference import InvalidReference, parse_reference, parse_target

SHA256 = "sha256:" + "f" * 64
SHA512 = "sha512:" + "f" * 128


@pytest.mark.parametrize(
    ("text", "name", "reference"),
    [
        ("alpine", "docker.io/library/alpine", "latest"),
        ("alpine:3.20", "docker.io/library/alpine", "3.20"),
        ("team/app", "docker.io/team/app", "latest"),
        ("myregistry/app:1", "docker.io/myregistry/app", "1"),
        ("docker.io/alpine", "docker.io/library/alpine", "latest"),
        ("index.docker.io/x", "docker.io/library/x", "latest"),
        ("index.docker.io/team/x:v1", "docker.io/team/x", "v1"),
        ("host:5000", "docker.io/library/host", "5000"),
        ("test.com:tag", "docker.io/library/test.com", "tag"),
        ("foo_bar.com:8080", "docker.io/library/foo_bar.com", "8080"),
        ("localhost/app", "localhost/app", "latest"),
        ("test:5000/repo:tag", "test:5000/repo", "tag"),
        (f"test:5000/repo:tag@{SHA256}", "test:5000/repo", SHA256),
        (f"repo@{SHA512}", "docker.io/library/repo", SHA512),
        ("UPPER/lower:Tag", "UPPER/lower", "Tag"),
        ("192.168.1.1:5000/repo:5050", "192.168.1.1:5000/repo", "5050"),
        ("[2001:db8::1]/repo", "[2001:db8::1]/repo", "latest"),
        ("[2001:db8::1]:5000/repo:tag", "[2001:db8::1]:5000/repo", "tag"),
        ("xn--n3h.com/myimage:xn--n3h.com", "xn--n3h.com/myimage", "xn--n3h.com"),
        ("b.gcr.io/test.example.com/my-app:x", "b.gcr.io/test.example.com/my-app", "x"),
        ("reg.test/a__b/c---d/e.f:_x-Y.z", "reg.test/a__b/c---d/e.f", "_x-Y.z"),
        ("reg.test:99999/a", "reg.test:99999/a", "latest"),  # the grammar does not check the port's range
        ("reg.test/" + "a" * 255, "reg.test/" + "a" * 255, "latest"),
    ],
)
def test_short_names_are_spelt_out_as_docker_does(text: str, name: str, reference: str) -> None:
    parsed = parse_reference(text)
    assert (parsed.name, parsed.reference) == (name, reference)


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("", None, "empty"),
        (":justtag", 0, "name is missing"),
        (f"@{SHA256}", 0, "name is missing"),
        ("reg.test/", 9, "name is missing"),
        ("Alpine:3", 0, "lower case"),
        ("test:5000/Upper/x:tag", 10, "lower case"),
        ("reg.test/app:", 13, "tag is missing"),
        ("reg.test/app:1.0+build", 16, "'+'"),
        ("reg.test/app:-x", 13, "starts with"),
        ("reg.test/app:" + "t" * 129, 13 + 128, "128"),
        ("https://reg.test/app", 5, "leave out https://"),
        ("reg.test/a b", 10, "blanks"),
        ("reg.test/app:1\n", 14, "blanks"),
        ("reg.test/a___b", 12, "separator"),
        ("reg.test/a..b", 11, "separator"),
        ("reg.test/a._b", 11, "separator"),
        ("reg.test/-a", 9, "starts with"),
        ("reg.test/a-", 10, "ends with"),
        ("reg.test//a", 9, "empty component"),
        ("reg.test/a/", 11, "empty component"),
        ("aa/asdf$$^/aa", 7, "'$'"),
        ("my_reg.test/app", 2, "'_'"),
        ("-reg.test/app", 0, "hyphen"),
        ("reg-.test/app", 3, "hyphen"),
        ("reg..test/app", 4, "empty part"),
        ("reg.test:/app", 9, "port is missing"),
        ("reg.test:50x/app", 11, "digits"),
        ("bücher.test/app", 1, "xn--"),
        ("[fe80::1%eth0]:5000/repo", 0, "IPv6"),
        ("a:b/c", 2, "digits"),
        ("a" * 64, None, "64 hexadecimal"),
        ("reg.test/" + "a" * 256, 9, "255"),
        ("repo@sha256:" + "f" * 34, 12, "64 hexadecimal"),
        ("repo@sha256:" + "F" * 64, 12, "lower-case"),
        ("name@invaliddigest:" + "f" * 64, 5, "sha256"),
        ("reg.test/app@latest", 13, "digest"),
    ],
)
def test_a_broken_reference_names_the_offending_character(
    text: str, position: int | None, words: str
) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_reference(text)
    assert words in caught.value.reason
    assert caught.value.position == position
    if position is not None and position < len(text) and caught.value.character is not None:
        assert caught.value.character == text[position]


def test_tag_and_digest_are_both_kept_and_the_digest_decides() -> None:
    parsed = parse_reference(f"reg.test/app:1.0@{SHA256}")
    assert (parsed.tag, parsed.digest, parsed.reference) == ("1.0", SHA256, SHA256)
    assert str(parsed) == f"reg.test/app:1.0@{SHA256}"


def test_a_missing_tag_means_latest_and_is_known_to_be_missing() -> None:
    parsed = parse_reference("reg.test/app")
    assert (parsed.tag, parsed.explicit_tag, parsed.reference) == (None, False, "latest")
    assert str(parsed) == "reg.test/app:latest"


def test_docker_hub_has_one_host_to_contact_and_another_to_log_in() -> None:
    parsed = parse_reference("alpine")
    assert not parsed.explicit_host
    assert parsed.registry == "registry-1.docker.io"
    assert parsed.credentials_key == "https://index.docker.io/v1/"
    assert parsed.familiar_name == "alpine"
    assert parse_reference("docker.io/library/alpine").explicit_host


# The grammar as distribution/reference publishes it, as an independent oracle.
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_ORACLE = re.compile(
    rf"({_DOMAIN})/({_COMPONENT}(?:/{_COMPONENT})*)(?::([0-9A-Za-z_][0-9A-Za-z_.-]{{0,127}}))?"
    r"(?:@(sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128}))?"
)


def _oracle(text: str) -> tuple[str, str, str | None, str | None] | None:
    if re.fullmatch("[a-f0-9]{64}", text):
        return None
    first, slash, rest = text.partition("/")
    if not slash or not (set(".:") & set(first) or first == "localhost" or first.lower() != first):
        first, rest = "docker.io", text
    if first == "index.docker.io":
        first = "docker.io"
    if first == "docker.io" and "/" not in rest:
        rest = f"library/{rest}"
    match = _ORACLE.fullmatch(f"{first}/{rest}")
    if match is None or match[1] != first or len(match[2]) > 255:
        return None
    return match[1], match[2], match[3], match[4]


@given(st.text(alphabet="aZ09.-_:/@[]%+ é$", max_size=24) | st.text(max_size=24))
@example("a:1/b:c")
@example("localhost:/a")
@example("a.b:c/d")
def test_accepts_and_refuses_what_the_published_grammar_does(text: str) -> None:
    expected = _oracle(text)
    if expected is None:
        with pytest.raises(InvalidReference) as caught:
            parse_reference(text)
        assert caught.value.position is None or 0 <= caught.value.position <= len(text)
    else:
        parsed = parse_reference(text)
        assert (parsed.domain, parsed.path, parsed.tag, parsed.digest) == expected


_name = st.from_regex(rf"{_COMPONENT}(/{_COMPONENT}){{0,2}}", fullmatch=True).filter(lambda n: len(n) < 99)


@given(
    st.sampled_from(["", "localhost/", "reg.test/", "reg.test:5000/", "[::1]:5000/", "docker.io/"]),
    _name,
    st.sampled_from(["", ":1", ":latest"]),
    st.sampled_from(["", f"@{SHA256}"]),
)
def test_what_is_spelt_out_reads_back_the_same(host: str, name: str, tag: str, digest: str) -> None:
    text = f"{host}{name}{tag}{digest}"
    if _oracle(text) is None:
        return
    once = parse_reference(text)
    twice = parse_reference(str(once))
    assert (twice.name, twice.reference) == (once.name, once.reference)


@pytest.mark.parametrize(
    ("text", "registry", "domain"),
    [
        ("reg.test", "reg.test:443", "reg.test"),
        ("reg.test:5000", "reg.test:5000", "reg.test:5000"),
        ("Reg.Test:5000", "reg.test:5000", "Reg.Test:5000"),
        ("reg.test.", "reg.test:443", "reg.test."),
        ("localhost", "localhost:443", "localhost"),
        ("localhost:5000", "localhost:5000", "localhost:5000"),
        ("10.0.0.1", "10.0.0.1:443", "10.0.0.1"),
        ("10.0.0.1:443", "10.0.0.1:443", "10.0.0.1:443"),
        ("[::1]:5000", "[::1]:5000", "[::1]:5000"),
        ("[2001:db8::1]", "[2001:db8::1]:443", "[2001:db8::1]"),
        ("http://[fe80::1%25eth0]:5000", "[fe80::1%eth0]:5000", "[fe80::1%eth0]:5000"),
        ("registry:5000", "registry:5000", "registry:5000"),
        ("my_registry:5000", "my_registry:5000", "my_registry:5000"),
        ("nexus:443", "nexus:443", "nexus:443"),
        ("registry/", "registry:443", "registry"),
        ("node:20/", "node:20", "node:20"),
        ("localhost:5000/v2/", "localhost:5000", "localhost:5000"),
        ("http://reg.test", "reg.test:80", "reg.test"),
        ("HTTPS://reg.test/v2/", "reg.test:443", "reg.test"),
        ("https://reg.test:8443/", "reg.test:8443", "reg.test:8443"),
        ("http://registry", "registry:80", "registry"),
        ("bücher.test:5000", "xn--bcher-kva.test:5000", "xn--bcher-kva.test:5000"),
        ("docker.io", "registry-1.docker.io:443", "docker.io"),
        ("https://index.docker.io", "registry-1.docker.io:443", "docker.io"),
    ],
)
def test_a_host_is_a_registry(text: str, registry: str, domain: str) -> None:
    target = parse_target(text)
    assert (target.registry, target.domain, target.reference) == (registry, domain, None)


@pytest.mark.parametrize(
    ("text", "registry", "repository", "reference"),
    [
        ("alpine", "registry-1.docker.io:443", "library/alpine", "latest"),
        ("alpine:3.20", "registry-1.docker.io:443", "library/alpine", "3.20"),
        ("redis:7", "registry-1.docker.io:443", "library/redis", "7"),
        ("node:20", "registry-1.docker.io:443", "library/node", "20"),
        ("ubuntu:2204", "registry-1.docker.io:443", "library/ubuntu", "2204"),
        ("amazonlinux:2023", "registry-1.docker.io:443", "library/amazonlinux", "2023"),
        ("archlinux:20240101", "registry-1.docker.io:443", "library/archlinux", "20240101"),
        ("my.app:v1", "registry-1.docker.io:443", "library/my.app", "v1"),
        ("team/app", "registry-1.docker.io:443", "team/app", "latest"),
        ("reg.test/app", "reg.test:443", "app", "latest"),
        ("reg.test:5000/team/app:1", "reg.test:5000", "team/app", "1"),
        (f"[::1]:5000/app@{SHA256}", "[::1]:5000", "app", SHA256),
    ],
)
def test_anything_else_is_an_image(text: str, registry: str, repository: str, reference: str) -> None:
    target = parse_target(text)
    assert target.reference is not None
    assert (target.registry, target.repository) == (registry, repository)
    assert target.reference.reference == reference


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        ("::1", "brackets"),
        ("2001:db8::1", "brackets"),
        ("repo:tag:x", "not allowed in a tag"),
        ("reg.test:70000", "1 to 65535"),
        ("reg.test:0", "1 to 65535"),
        ("reg.test:70000/app", "1 to 65535"),
        ("reg.test:", "tag is missing"),
        ("http://reg.test:", "port is missing"),
        ("http://", "host name is missing"),
        ("[::1", "closing bracket"),
        ("[::1]x", "only :port"),
        ("[zz]", "not an IPv6 address"),
        ("ftp://reg.test", "ftp://"),
        ("docker://reg.test/app:1", "leave the scheme out"),
        ("https://reg.test/team/app:1", "leave out the scheme"),
        ("https://reg.test/v1/", "leave out the scheme"),
        ("https://reg..test", "empty part"),
        ("https://" + "a" * 64 + ".test", "63"),
        ("https://xn--\u2028.test", "internationalised"),
        ("Alpine", "lower case"),
    ],
)
def test_a_target_that_is_neither_says_what_to_write_instead(text: str, words: str) -> None:
    with pytest.raises(InvalidReference, match=re.escape(words)):
        parse_target(text)


@pytest.mark.parametrize(
    "text",
    [
        "https://alice:s3cretpw@reg.test",
        "https://alice:s3cretpw@reg.test/team/app",
        "alice:s3cretpw@reg.test",
        "alice:s3cretpw@reg.test:5000/app",
        "https://reg.test/v2/?token=s3cretpw",
        "https://reg.test#s3cretpw",
    ],
)
def test_credentials_in_a_target_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InvalidReference) as caught:
        parse_target(text)
    assert "s3cretpw" not in f"{caught.value} {caught.value!r} {caught.value.reason}"


@given(st.text(alphabet="aA0.-_:/@[]%ß\u3002é ?#\\", max_size=30) | st.text(max_size=30))
def test_no_text_crashes_the_target_parser(text: str) -> None:
    try:
        target = parse_target(text)
    except InvalidReference:
        return
    assert target.ascii_host.isascii()
    assert 1 <= target.effective_port <= 65535


@pytest.mark.parametrize("text", ["bücher.test:5000/team/app:1.0", "BÜCHER.test:5000/team/app:1.0"])
def test_an_image_of_a_host_of_another_script_is_read_with_a_labels(text: str) -> None:
    target = parse_target(text)

    assert target.text == text
    assert (target.registry, target.domain) == ("xn--bcher-kva.test:5000", "xn--bcher-kva.test:5000")
    assert target.reference == parse_reference("xn--bcher-kva.test:5000/team/app:1.0")


@pytest.mark.parametrize(
    "text", ["bücher..test/app", "\u2028.test/app", "bücher.test:x/app", "bücher.test/App"]
)
def test_a_host_of_another_script_excuses_nothing_else(text: str) -> None:
    with pytest.raises(InvalidReference):
        parse_target(text)
