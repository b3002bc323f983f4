"""policy.json is read as podman, skopeo and CRI-O read it; skopeo is the judge."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from regdoctor.facts import SignaturePolicy
from regdoctor.host.signature_policy import default_policy, parse_policy, read_policy, read_stores, scope_of
from tests.support.skopeo import skopeo

ACCEPT = '[{"type": "insecureAcceptAnything"}]'
REJECT = '[{"type": "reject"}]'
SIGNED = '{"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/k"'


def default(requirement: str) -> str:
    return f'{{"default": [{requirement}]}}'


def transports(text: str) -> str:
    return f'{{"default": {ACCEPT}, "transports": {text}}}'


RIGHT: dict[str, str | bytes] = {
    "accept anything": default('{"type": "insecureAcceptAnything"}'),
    "reject": default('{"type": "reject"}'),
    "two requirements": default('{"type": "reject"}, {"type": "reject"}'),
    "scopes": transports(
        f'{{"docker": {{"": {REJECT}, "a.test:5000/x:1": {ACCEPT}, "*.b.test": {ACCEPT}}}}}'
    ),
    "odd scopes": transports(f'{{"docker": {{"https://a.test/": {REJECT}}}}}'),
    "an unknown transport": transports(f'{{"foo": {{"x": {REJECT}}}}}'),
    "a folder": transports(f'{{"dir": {{"/x/y": {REJECT}}}}}'),
    "an OCI folder with a tag": transports(f'{{"oci": {{"/x:tag": {REJECT}}}}}'),
    "Latin-1 in a text": transports(f'{{"docker": {{"é": {REJECT}}}}}').encode("latin-1"),
    "a signature": default(f"{SIGNED}}}"),
    "key data": default('{"type": "signedBy", "keyType": "GPGKeys", "keyData": "eA=="}'),
    "key paths": default('{"type": "signedBy", "keyType": "GPGKeys", "keyPaths": ["/a", "/b"]}'),
    "an exact reference": default(
        f'{SIGNED}, "signedIdentity": {{"type": "exactReference", "dockerReference": "a.test/x:1"}}}}'
    ),
    "a repository": default(
        f'{SIGNED}, "signedIdentity": {{"type": "exactRepository", "dockerRepository": "a.test/x"}}}}'
    ),
    "another name": default(
        f'{SIGNED}, "signedIdentity": {{"type": "remapIdentity", "prefix": "a.test", "signedPrefix": "b.test"}}}}'
    ),
    "sigstore": default('{"type": "sigstoreSigned", "keyPath": "/k"}'),
    "a base layer": default('{"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}'),
}
WRONG: dict[str, tuple[str | bytes, str]] = {
    "empty": ("", "unexpected end of JSON input"),
    "braces": ("{}", "Default policy is missing"),
    "a list": ("[]", "JSON object expected"),
    "null": ("null", "JSON object expected"),
    "a comma too many": (f'{{"default": {ACCEPT},}}', "invalid character '}'"),
    "a comment": (f'{{"default": {ACCEPT}}} // x', "invalid character '/'"),
    "something after it": (f'{{"default": {ACCEPT}}} {{}}', "invalid character '{'"),
    "a byte order mark": (f'\ufeff{{"default": {ACCEPT}}}', "invalid character"),
    "UTF-16": (f'{{"default": {ACCEPT}}}'.encode("utf-16"), "invalid character"),
    "an unknown key": (f'{{"default": {ACCEPT}, "foo": 1}}', 'Unknown key "foo"'),
    "a key in capitals": (f'{{"Default": {ACCEPT}}}', 'Unknown key "Default"'),
    "a key twice": (f'{{"default": {ACCEPT}, "default": {ACCEPT}}}', 'Duplicate key "default"'),
    "no requirement": (default(""), "must not be empty"),
    "a requirement that is no list": ('{"default": {}}', "cannot unmarshal object"),
    "an unknown type": (default('{"type": "accept"}'), 'Unknown policy requirement type "accept"'),
    "no type": (default("{}"), 'Unknown policy requirement type ""'),
    "a key of no requirement": (default('{"type": "reject", "x": 1}'), 'Unknown key "x"'),
    "transports that are a list": (transports("[]"), "JSON object expected"),
    "a scope twice": (transports(f'{{"docker": {{"a": {REJECT}, "a": {REJECT}}}}}'), 'Duplicate key "a"'),
    "a scope without requirements": (transports('{"docker": {"a.test": []}}'), "must not be empty"),
    "a folder that is relative": (transports(f'{{"dir": {{"x/y": {REJECT}}}}}'), 'Unknown key "x/y"'),
    "a folder with dots": (transports(f'{{"oci": {{"/x/../y": {REJECT}}}}}'), 'Unknown key "/x/../y"'),
    "a scope where none may be": (transports(f'{{"tarball": {{"x": {REJECT}}}}}'), 'Unknown key "x"'),
    "no kind of key": (default('{"type": "signedBy", "keyPath": "/k"}'), 'invalid keyType ""'),
    "an unknown kind of key": (
        default('{"type": "signedBy", "keyType": "gpg", "keyPath": "/k"}'),
        'Unrecognized keyType value "gpg"',
    ),
    "no key": (default('{"type": "signedBy", "keyType": "GPGKeys"}'), "none of them present"),
    "an empty path": (default('{"type": "signedBy", "keyType": "GPGKeys", "keyPath": ""}'), "none of them"),
    "two keys": (default(f'{SIGNED}, "keyData": "eA=="}}'), "more than one present"),
    "a key that is no text": (
        default('{"type": "signedBy", "keyType": "GPGKeys", "keyPath": 1}'),
        "cannot unmarshal number",
    ),
    "paths that are no texts": (
        default('{"type": "signedBy", "keyType": "GPGKeys", "keyPaths": [1]}'),
        "cannot unmarshal",
    ),
    "data that are no base64": (
        default('{"type": "signedBy", "keyType": "GPGKeys", "keyData": "e!=="}'),
        "illegal base64 data at input byte 1",
    ),
    "data cut off": (
        default('{"type": "signedBy", "keyType": "GPGKeys", "keyData": "eA="}'),
        "illegal base64 data",
    ),
    "an identity that is null": (default(f'{SIGNED}, "signedIdentity": null}}'), "match type"),
    "an unknown identity": (
        default(f'{SIGNED}, "signedIdentity": {{"type": "match"}}}}'),
        'match type "match"',
    ),
    "a reference without a tag": (
        default(f'{SIGNED}, "signedIdentity": {{"type": "exactReference", "dockerReference": "a.test/x"}}}}'),
        "neither a tag nor digest",
    ),
    "an identity without its name": (
        default(f'{SIGNED}, "signedIdentity": {{"type": "exactReference"}}}}'),
        'Key "dockerReference" missing',
    ),
    "no identity of a base layer": (
        default('{"type": "signedBaseLayer"}'),
        'Key "baseLayerIdentity" missing',
    ),
}


def read(folder: Path, text: str | bytes) -> SignaturePolicy:
    path = folder / "policy.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_policy(path)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_has_no_flaw(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, RIGHT[name]).flaws == ()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_has_a_flaw(tmp_path: Path, name: str) -> None:
    text, words = WRONG[name]

    assert words in read(tmp_path, text).flaws[0].message


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("name", [*RIGHT, *WRONG])
def test_skopeo_judges_the_same(tmp_path: Path, name: str) -> None:
    read(tmp_path, RIGHT[name] if name in RIGHT else WRONG[name][0])

    # Nothing listens on port 1; what is wrong with the policy is said before.
    arguments = (
        "--policy",
        tmp_path / "policy.json",
        "copy",
        "docker://127.0.0.1:1/x",
        f"dir:{tmp_path / 'x'}",
    )
    said = skopeo(*arguments).stderr

    assert ("connection refused" in said) is (name in RIGHT), said
    assert ("invalid policy in" in said) is (name in WRONG), said


@pytest.mark.parametrize(
    ("scopes", "image", "counts"),
    [
        (("a.test", "a.test/x", "a.test/x/app"), "a.test/x/app", "a.test/x/app"),
        (("a.test", "a.test/x"), "a.test/x/app", "a.test/x"),
        (("a.test",), "a.test:5000/app", None),
        (("a.test:5000",), "a.test:5000/app", "a.test:5000"),
        (("a.test/x/app:1", "a.test/x/app"), "a.test/x/app", "a.test/x/app:1"),
        (("a.test/x/app:2", "a.test"), "a.test/x/app", "a.test"),
        (("*.test", "*.a.test"), "r.a.test/app", "*.a.test"),
        (("*.test",), "r.a.test:5000/app", "*.test"),
        (("",), "a.test/app", ""),
        ((), "a.test/app", None),
    ],
)
def test_the_most_specific_scope_counts(scopes: tuple[str, ...], image: str, counts: str | None) -> None:
    document = {
        "default": [{"type": "reject"}],
        "transports": {"docker": {each: [{"type": "insecureAcceptAnything"}] for each in scopes}},
    }

    scope = scope_of(parse_policy(json.dumps(document), Path("policy.json")), image, ":1")

    assert scope is not None
    assert (scope.scope if scope.transport else None) == counts


def test_requirements_have_their_places(tmp_path: Path) -> None:
    policy = read(tmp_path, '{"default": [\n  {"type": "reject"}]}')

    (requirement,) = policy.scopes[0].requirements
    assert requirement.place == f"{tmp_path / 'policy.json'}:2:3"


def test_the_users_policy_replaces_the_systems(tmp_path: Path) -> None:
    assert default_policy(tmp_path, Path("/etc")) == Path("/etc/containers/policy.json")
    own = tmp_path / ".config/containers/policy.json"
    own.parent.mkdir(parents=True)
    own.touch()
    assert default_policy(tmp_path, Path("/etc")) == own


def test_signatures_are_looked_for_where_registries_d_says(tmp_path: Path) -> None:
    folder = tmp_path / "etc/containers/registries.d"
    folder.mkdir(parents=True)
    (folder / "default.yaml").write_text("default-docker:\n  lookaside: file:///default\n")
    (folder / "a.yaml").write_text(
        "docker:\n  a.test/x:\n    sigstore: https://sig.test\n  a.test:\n    use-sigstore-attachments: true\n"
    )
    (folder / "broken.yaml").write_text("docker: [\n")

    here = read_stores("a.test/x/app", tmp_path, tmp_path / "etc")
    other = read_stores("b.test/app", tmp_path, tmp_path / "etc")

    assert here.lookaside is not None
    assert (here.lookaside.value, here.attachments) == ("https://sig.test", True)
    assert other.lookaside is not None
    assert (other.lookaside.value, other.attachments) == ("file:///default", False)
