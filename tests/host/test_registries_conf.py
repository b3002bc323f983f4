"""registries.conf is read as podman, skopeo and CRI-O read it; skopeo is the judge."""

from __future__ import annotations

from pathlib import Path

import pytest

from regdoctor.facts import RegistriesConf
from regdoctor.host.registries_conf import (
    default_files,
    drop_ins,
    find_registry,
    match_length,
    read_registries_conf,
)
from tests.support.skopeo import skopeo

REGISTRY = '[[registry]]\nlocation = "a.test"\n'
MIRROR = f'{REGISTRY}[[registry.mirror]]\nlocation = "m.test"\n'
OLD = "[registries.insecure]\nregistries = ['b.test']\n"

RIGHT = {
    "empty": "",
    "a comment": "# nothing\n",
    "a search list": "unqualified-search-registries = ['docker.io', 'quay.io:443']\n",
    "unknown keys": "foo = 1\n[bar]\nx = 1\n",
    "a registry": REGISTRY,
    "a slash at the end": '[[registry]]\nlocation = "a.test:5000/"\n',
    "names of keys in capitals": '[[Registry]]\nLocation = "a.test"\nInsecure = true\n',
    "a wildcard without a location": '[[registry]]\nprefix = "*.a.test"\n',
    "mirrors": f"{MIRROR}pull-from-mirror = 'digest-only'\n",
    "an alias": '[aliases]\n"alpine" = "docker.io/library/alpine"\n',
    "an alias taken back": '[aliases]\n"alpine" = ""\n',
    "aliases that are no table": "aliases = ['a']\n",
    "the old format": f"[registries.search]\nregistries = ['docker.io']\n{OLD}",
    "an empty old table beside the new format": f"[registries.search]\nregistries = []\n{REGISTRY}",
    "line ends of Windows": REGISTRY.replace("\n", "\r\n"),
    "an inline table": 'registry = [{location = "a.test", insecure = true}]\n',
    "the same prefix twice": REGISTRY + REGISTRY,
    "a blocked registry": f"{REGISTRY}blocked = true\n",
}
WRONG: dict[str, tuple[str | bytes, str]] = {
    "no quotes": ("unqualified-search-registries = [docker.io]\n", "value"),
    "a key twice": ("short-name-mode = 'disabled'\n" * 2, ""),
    "a byte order mark": ("\ufeff" + REGISTRY, "byte order mark"),
    "UTF-16": (REGISTRY.encode("utf-16"), "not UTF-8"),
    "Latin-1": ("# é\n".encode("latin-1") + REGISTRY.encode(), "not UTF-8 text (byte 0xe9)"),
    "a null byte": (REGISTRY + "\0", ""),
    "a text for a list": ("unqualified-search-registries = 'docker.io'\n", "incompatible types"),
    "numbers for texts": ("unqualified-search-registries = [1]\n", "incompatible types"),
    "a text for true": (f"{REGISTRY}insecure = 'true'\n", "incompatible types"),
    "a number for true": (f"{REGISTRY}blocked = 1\n", "incompatible types"),
    "one table for many": ("[registry]\nlocation = 'a.test'\n", "incompatible types"),
    "a scheme in a location": ('[[registry]]\nlocation = "http://a.test"\n', "URI schemes are not supported"),
    "a scheme in a mirror": (
        f'{REGISTRY}[[registry.mirror]]\nlocation = "https://m.test"\n',
        "URI schemes are not supported",
    ),
    "a scheme in the search list": (
        "unqualified-search-registries = ['https://docker.io']\n",
        "URI schemes are not supported",
    ),
    "a path in the search list": (
        "unqualified-search-registries = ['docker.io/library']\n",
        'Invalid unqualified-search-registries entry "docker.io/library"',
    ),
    "no location": ("[[registry]]\ninsecure = true\n", "both location and prefix are unset"),
    "a prefix alone": ('[[registry]]\nprefix = "a.test"\n', "location is unset"),
    "a wildcard with a port": ('[[registry]]\nprefix = "*.test:5000"\n', "Wildcarded prefix should be"),
    "a wildcard with a path": (
        '[[registry]]\nprefix = "*.a.test/x"\nlocation = "b.test"\n',
        "Wildcarded prefix should be",
    ),
    "a mirror without a location": (f"{REGISTRY}[[registry.mirror]]\ninsecure = true\n", "mirror location"),
    "an unknown use of a mirror": (f"{MIRROR}pull-from-mirror = 'never'\n", "unsupported pull-from-mirror"),
    "two uses of a mirror": (
        MIRROR.replace("[[registry.mirror", "mirror-by-digest-only = true\n[[registry.mirror")
        + "pull-from-mirror = 'tag-only'\n",
        "cannot set mirror usage",
    ),
    "a mirror's key on a registry": (
        f"{REGISTRY}pull-from-mirror = 'all'\n",
        "must not be set for a non-mirror",
    ),
    "two tables that differ": (
        f'{REGISTRY}insecure = true\n[[registry]]\nprefix = "b.test"\nlocation = "a.test"\n',
        "conflicting 'insecure' setting",
    ),
    "both formats": (f"{OLD}{REGISTRY}", "mixing sysregistry v1/v2 is not supported"),
    "the old format with a new search list": (
        f"unqualified-search-registries = ['docker.io']\n{OLD}",
        "mixing sysregistry v1/v2 is not supported",
    ),
    "a scheme in the old format": (OLD.replace("b.test", "http://b.test"), "URI schemes are not supported"),
    "an unknown mode": ("short-name-mode = 'strict'\n", 'invalid short-name mode: "strict"'),
    "an alias with a tag": ('[aliases]\n"alpine" = "docker.io/library/alpine:3"\n', "must not contain a tag"),
    "an alias to a short name": ('[aliases]\n"alpine" = "alpine"\n', "must contain registry and repository"),
    "an alias of a whole name": (
        '[aliases]\n"docker.io/x" = "docker.io/library/x"\n',
        "must not contain registry",
    ),
}


def read(folder: Path, text: str | bytes) -> RegistriesConf:
    path = folder / ".config/containers/registries.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_registries_conf(path)


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_right_has_no_flaw(tmp_path: Path, name: str) -> None:
    assert read(tmp_path, RIGHT[name]).flaws == ()


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_has_a_flaw_at_its_place(tmp_path: Path, name: str) -> None:
    text, words = WRONG[name]
    flaw = read(tmp_path, text).flaws[0]

    assert words in flaw.message
    assert flaw.line is not None
    assert flaw.column is not None
    lines = text.count(b"\n" if isinstance(text, bytes) else "\n")  # type: ignore[arg-type]
    assert 1 <= flaw.line <= lines + 1


@pytest.mark.needs("skopeo")
@pytest.mark.parametrize("name", [*RIGHT, *WRONG])
def test_skopeo_judges_the_same(tmp_path: Path, name: str) -> None:
    read(tmp_path, RIGHT[name] if name in RIGHT else WRONG[name][0])

    # Nothing listens on port 1; what is wrong with the file is said before.
    said = skopeo("inspect", "docker://127.0.0.1:1/x", env={"HOME": str(tmp_path)}).stderr

    assert ("connection refused" in said) is (name in RIGHT), said
    assert ("loading registries configuration" in said) is (name in WRONG), said


def test_tables_have_their_places_and_their_mirrors(tmp_path: Path) -> None:
    conf = read(
        tmp_path, f"# first\n{MIRROR}insecure = true\n\n[[registry]]\nlocation = 'b.test'\nblocked = true\n"
    )

    first, second = conf.registries
    assert (first.prefix, first.line, first.insecure, first.blocked) == ("a.test", 2, None, None)
    assert [(each.location.value, each.insecure, each.pull_from) for each in first.mirrors] == [
        ("m.test", True, "all")
    ]
    assert second.blocked is not None
    assert (second.blocked.line, second.blocked.column) == (10, 1)


def test_a_drop_in_in_the_old_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "registries.conf.d/x.conf"
    path.parent.mkdir()
    path.write_text(OLD)

    (flaw,) = read_registries_conf(path, drop_in=True).flaws

    assert flaw.message == "registry must be in v2 format but is in v1"


def test_later_files_overrule(tmp_path: Path) -> None:
    main, drop_in = tmp_path / "registries.conf", tmp_path / "registries.conf.d/50-x.conf"
    drop_in.parent.mkdir()
    main.write_text(f"unqualified-search-registries = ['a.test']\n{REGISTRY}blocked = true\n")
    drop_in.write_text(f"unqualified-search-registries = ['b.test']\n{REGISTRY}")

    conf = read_registries_conf(main, drop_ins(tmp_path))

    assert conf.files == (str(main), str(drop_in))
    assert [each.value for each in conf.search] == ["b.test"]
    assert [(each.path, each.blocked) for each in conf.registries] == [(str(drop_in), None)]


def test_a_file_of_the_user_replaces_the_systems(tmp_path: Path) -> None:
    system, own = tmp_path / "etc/containers", tmp_path / "home/.config/containers"
    for folder in (system, own):
        (folder / "registries.conf.d").mkdir(parents=True)
        (folder / "registries.conf.d/a.conf").touch()
    (system / "registries.conf").touch()

    of_system = default_files({}, tmp_path / "home", tmp_path / "etc")
    (own / "registries.conf").touch()
    of_user = default_files({}, tmp_path / "home", tmp_path / "etc")
    named = default_files({"CONTAINERS_REGISTRIES_CONF": "/x"}, tmp_path / "home", tmp_path / "etc")

    drop_in = "registries.conf.d/a.conf"
    assert of_system == (system / "registries.conf", (system / drop_in, own / drop_in), None)
    assert of_user == (own / "registries.conf", (own / drop_in,), system / "registries.conf")
    assert named == (Path("/x"), (system / drop_in, own / drop_in), None)


@pytest.mark.parametrize(
    ("prefix", "name", "length"),
    [
        ("a.test", "a.test/team/app:1", 6),
        ("a.test/team", "a.test/team/app:1", 11),
        ("a.test/te", "a.test/team/app:1", None),
        ("a.test", "a.test:5000/app", 6),
        ("a.test:5000", "a.test:5000/app", 11),
        ("a.test", "aa.test/app", None),
        ("a.test/app:1", "a.test/app:1", 12),
        ("a.test/app:1", "a.test/app:12", None),
        ("*.test", "a.b.test/app", 8),
        ("*.test", "test/app", None),
        ("*.test", "x.org/a.test/app", None),
    ],
)
def test_a_prefix_covers_whole_components(prefix: str, name: str, length: int | None) -> None:
    assert match_length(prefix, name) == length


def test_the_longest_prefix_counts(tmp_path: Path) -> None:
    conf = read(
        tmp_path, "".join(f"[[registry]]\nlocation = '{each}'\n" for each in ("a.test", "a.test/x", "b.test"))
    )

    found = find_registry(conf.registries, "a.test/x/app:1")
    assert found is not None
    assert found.prefix == "a.test/x"
    assert find_registry(conf.registries, "c.test/app") is None


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    path = tmp_path / "registries.conf"
    path.mkdir()

    (flaw,) = read_registries_conf(path).flaws

    assert (flaw.kind.value, flaw.message) == ("unread", "it is a folder")
