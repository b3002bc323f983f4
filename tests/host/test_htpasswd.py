"""htpasswd files are read as the registry reads them; the registry is the judge."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import bcrypt
import pytest

from regdoctor.facts import HashKind, HtpasswdFile
from regdoctor.host.htpasswd import hash_kind, read_htpasswd
from tests.support.registry import Registry

PASSWORD = "wonderland"
HASH = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
"""As the module writes it: ``$2b$04$…``."""


def version(letter: str) -> str:
    return HASH.replace("$2b$", f"$2{letter}$")


HASHES = {
    "2a": (version("a"), HashKind.BCRYPT),
    "2b": (version("b"), HashKind.BCRYPT),
    "2y": (version("y"), HashKind.BCRYPT),
    "2x": (version("x"), HashKind.BCRYPT),
    "no minor version": (version(""), HashKind.BCRYPT),
    "something after it": (f"{HASH}:more", HashKind.BCRYPT),
    "cut off": (HASH[:-1], HashKind.BROKEN),
    "a cost too low": (HASH.replace("$04$", "$03$"), HashKind.BROKEN),
    "a cost too high": (HASH.replace("$04$", "$32$"), HashKind.BROKEN),
    "MD5": ("$apr1$dKXkVrUV$8ZPjOhPGd2jPdPZbgPRdv/", HashKind.APR1),
    "SHA-1": ("{SHA}Djv9C4qGcFEcfsQvFTqRXfVBSL0=", HashKind.SHA1),
    "crypt": ("$6$salt$x", HashKind.CRYPT),
    "DES": ("rqXexS6ZhobKA", HashKind.CRYPT),
    "the password itself": (PASSWORD, HashKind.PLAIN),
    "nothing": ("", HashKind.PLAIN),
}
ACCEPTED = {name for name, (_text, kind) in HASHES.items() if kind is HashKind.BCRYPT}


@pytest.mark.parametrize("name", HASHES)
def test_how_a_password_is_stored_is_told(name: str) -> None:
    text, kind = HASHES[name]

    assert hash_kind(text) is kind


FILES: dict[str, tuple[bytes, int]] = {
    "right": (f"alice:{HASH}\n".encode(), 200),
    "without a line end": (f"alice:{HASH}".encode(), 200),
    "comments and empty lines": (f"# who\n\n   \nalice:{HASH}\n".encode(), 200),
    "blanks around it": (f"  alice:{HASH}  \n".encode(), 200),
    "line ends of Windows": (f"alice:{HASH}\r\n".encode(), 200),
    "another user's hash": (f"bob:plain\nalice:{HASH}\n".encode(), 200),
    "the user twice, the last right": (f"alice:plain\nalice:{HASH}\n".encode(), 200),
    "the user twice, the first right": (f"alice:{HASH}\nalice:plain\n".encode(), 401),
    "a name in capitals": (f"Alice:{HASH}\n".encode(), 401),
    "a byte order mark": (f"\ufeffalice:{HASH}\n".encode(), 401),
    "empty": (b"", 401),
    "a line without a colon": (f"alice:{HASH}\ngarbage\n".encode(), 400),
    "a first line without a colon": (f"garbage\nalice:{HASH}\n".encode(), 400),
    "a line of 64 KiB": (f"alice:{HASH}\n".encode() + b"x:" + b"y" * 65_536 + b"\n", 400),
    "a long line": (f"alice:{HASH}\n".encode() + b"x:" + b"y" * 65_000 + b"\n", 200),
    "a null byte": (f"alice:{HASH}\n\0\n".encode(), 400),
    "Latin-1": (f"alice:{HASH}\n".encode() + b"b\xe9:x\n", 200),
}
"""By name: the file, and the status of a login as alice."""


def judged(file: HtpasswdFile) -> int:
    """The status of a login as alice that the reader's facts lead to."""
    if file.flaws:
        return 400
    counted = [each for each in file.entries if each.username == "alice" and each.replaced is None]
    return 200 if counted and counted[0].hash is HashKind.BCRYPT else 401


@pytest.mark.parametrize("name", FILES)
def test_what_a_file_comes_to_is_told(tmp_path: Path, name: str) -> None:
    data, status = FILES[name]
    path = tmp_path / "htpasswd"
    path.write_bytes(data)

    assert judged(read_htpasswd(path)) == status


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry with an htpasswd file that tests replace: it reads the file anew once it changes."""
    folder = tmp_path_factory.mktemp("registry")
    path = folder / "htpasswd"
    path.write_text("")
    with Registry(folder / "registry", htpasswd=path) as running:
        yield running


def login(registry: Registry, data: bytes, username: str = "alice") -> int:
    path = Path(registry.config["auth"]["htpasswd"]["path"])
    new = path.with_name("new")
    new.write_bytes(data)
    new.replace(path)
    return registry.client((username, PASSWORD)).request("GET", "/v2/").status


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("name", FILES)
def test_the_registry_judges_files_the_same(registry: Registry, name: str) -> None:
    data, status = FILES[name]

    assert login(registry, data) == status


@pytest.mark.needs("docker-registry")
@pytest.mark.parametrize("name", HASHES)
def test_the_registry_judges_hashes_the_same(registry: Registry, name: str) -> None:
    assert (login(registry, f"alice:{HASHES[name][0]}\n".encode()) == 200) is (name in ACCEPTED)


@pytest.mark.needs("docker-registry")
def test_a_file_that_the_registry_wrote_itself_is_known(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "htpasswd"

    with Registry(tmp_path / "registry", htpasswd=path) as running:
        assert "provisioning with default user" in running.log()

    file = read_htpasswd(path)
    assert file.generated
    assert [each.username for each in file.entries] == ["docker"]


def test_a_file_of_the_same_user_made_by_hand_is_not_taken_for_that(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(f"docker:{version('a')}\n")

    assert not read_htpasswd(path).generated


def test_no_hash_and_no_line_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(f"alice:{HASH}\nmy-password\n")

    shown = repr(read_htpasswd(path))

    assert HASH[7:] not in shown
    assert "my-password" not in shown


def test_problems_have_their_places(tmp_path: Path) -> None:
    path = tmp_path / "htpasswd"
    path.write_text(f"alice:{HASH}\n  garbage\n")

    (flaw,) = read_htpasswd(path).flaws

    assert (flaw.line, flaw.column, flaw.message) == (2, 3, "htpasswd: invalid entry at line 2")
