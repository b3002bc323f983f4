"""hosts.toml and its folders are read as containerd reads them; containerd is the judge."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from regdoctor.facts import FlawKind, RegistryHosts
from regdoctor.host.hosts_toml import folder_of, named_wrongly, pair_problem, read_hosts_toml, read_roots
from tests.support import certificates as make
from tests.support.containerd import Containerd
from tests.support.registry import Registry

HOST = 'server = "http://ADDRESS"\n[host."http://ADDRESS"]\n'
HEADER = f'{HOST}[host."http://ADDRESS".header]\n'

USED = {
    "a host": HOST,
    "capabilities": f'{HOST}capabilities = ["pull", "resolve", "push"]\n',
    "capabilities in capitals": f'{HOST}capabilities = ["Pull", "RESOLVE"]\n',
    "no capabilities": f"{HOST}capabilities = []\n",
    "no verification": f"{HOST}skip_verify = true\n",
    "a path of its own": f"{HOST}override_path = false\n",
    "an authority": f'{HOST}ca = "FOLDER/ca.pem"\n',
    "authorities": f'{HOST}ca = ["FOLDER/ca.pem", "FOLDER/ca.pem"]\n',
    "no authorities": f"{HOST}ca = []\n",
    "a pair in one file": f'{HOST}client = "FOLDER/pair.pem"\n',
    "pairs in one file each": f'{HOST}client = ["FOLDER/pair.pem"]\n',
    "a pair": f'{HOST}client = [["FOLDER/cert.pem", "FOLDER/key.pem"]]\n',
    "a header": f'{HEADER}x-a = "1"\n',
    "a header twice": f'{HEADER}x-a = ["1", "2"]\n',
    "an unknown key": f"{HOST}foo = 1\n",
    "the server below the host": '[host."http://ADDRESS"]\nserver = "http://ADDRESS"\n',
    "an empty server": 'server = ""\n[host."http://ADDRESS"]\n',
    "single quotes": "server = 'http://ADDRESS'\n[host.'http://ADDRESS']\n",
    "line ends of Windows": HOST.replace("\n", "\r\n"),
    "a slash at the end": 'server = "http://ADDRESS/"\n[host."http://ADDRESS/"]\n',
    "a path": '[host."http://ADDRESS/v2"]\n',
    "an inline table": 'host = {"http://ADDRESS" = {}}\n',
}
PASSED_OVER: dict[str, tuple[str | bytes, str]] = {
    "an unknown capability": (f'{HOST}capabilities = ["pull", "fetch"]\n', "unknown capability fetch"),
    "one capability": (f'{HOST}capabilities = "pull"\n', "capabilities is a text"),
    "a number for a capability": (f"{HOST}capabilities = [1]\n", "unknown capability 1"),
    "a text for true": (f'{HOST}skip_verify = "true"\n', "skip_verify is a text"),
    "a number for true": (f"{HOST}skip_verify = 1\n", "skip_verify is a number"),
    "a text for a path": (f'{HOST}override_path = "yes"\n', "override_path is a text"),
    "a number for an authority": (f"{HOST}ca = 1\n", 'invalid type for "ca"'),
    "a number among authorities": (f'{HOST}ca = ["FOLDER/ca.pem", 1]\n', 'invalid type for "ca"'),
    "a number for a pair": (f"{HOST}client = 1\n", 'for "client"'),
    "a pair of three": (f'{HOST}client = [["a", "b", "c"]]\n', 'for "client"'),
    "a pair of none": (f"{HOST}client = [[]]\n", 'for "client"'),
    "a number for a header": (f"{HEADER}x-a = 1\n", 'invalid type for header "x-a"'),
    "a number in a header": (f"{HEADER}x-a = [1]\n", 'invalid type for header "x-a"'),
    "a text for headers": (f'{HOST}header = "x"\n', "header is a text"),
    "a number for the server": ('server = 1\n[host."http://ADDRESS"]\n', 'for "server"'),
    "a server that is no URL": (
        'server = "http://[::1"\n[host."http://ADDRESS"]\n',
        "unable to parse server",
    ),
    "a host that is no table": ('[host]\n"http://ADDRESS" = 1\n', "invalid `host` tree"),
    "hosts in a list": ("[[host]]\nx = 1\n", "invalid `host` tree"),
    "a text for hosts": ('host = "x"\n', "invalid `host` tree"),
    "no quotes": ('server = http://ADDRESS\n[host."http://ADDRESS"]\n', ""),
    "no quotes in a header of a table": ("[host.http://ADDRESS]\n", ""),
    "a key twice": ('server = "a"\nserver = "b"\n[host."http://ADDRESS"]\n', ""),
    "a table twice": (f'{HOST}[host."http://ADDRESS"]\n', ""),
    "UTF-16": (HOST.encode("utf-16"), "not UTF-8"),
    "a null byte": (f"{HOST}\0", ""),
    "a port that is none": ('[host."http://reg.test:port"]\n', "unable to parse server"),
    "a blank in a URL": ('[host." http://ADDRESS"]\n', "unable to parse server"),
    "a line end in a URL": ('[host."http://ADDRESS\\n"]\n', "unable to parse server"),
    "an escape that is none": ('[host."http://ADDRESS/%zz"]\n', "unable to parse server"),
}
ENDS = {
    "a missing authority": (f'{HOST}ca = "/nonexistent.crt"\n', 'unable to read CA cert "/nonexistent.crt"'),
    "a missing authority beside it": (f'{HOST}ca = "ca.crt"\n', 'unable to read CA cert "ca.crt"'),
    "an empty authority": (f'{HOST}ca = ""\n', "it is a folder"),
    "a key for an authority": (f'{HOST}ca = "FOLDER/key.pem"\n', "unable to load CA cert"),
    "an authority in DER": (f'{HOST}ca = "FOLDER/ca.der"\n', "unable to load CA cert"),
    "a missing pair": (f'{HOST}client = "/nonexistent"\n', 'unable to read CERT file "/nonexistent"'),
    "a missing key": (f'{HOST}client = [["FOLDER/cert.pem", "/nonexistent"]]\n', "unable to read CERT file"),
    "a certificate without a key": (f'{HOST}client = "FOLDER/cert.pem"\n', "failed to load X509 key pair"),
    "a key of another certificate": (
        f'{HOST}client = [["FOLDER/cert.pem", "FOLDER/other.pem"]]\n',
        "failed to load X509 key pair: the private key does not match",
    ),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an authority and pairs, right ones and others."""
    folder = tmp_path_factory.mktemp("files")
    authority = make.root_authority()
    pair, other = authority.issue(["me"], eku="client"), authority.issue(["other"], eku="client")
    (folder / "ca.pem").write_text(authority.ca_pem)
    (folder / "ca.der").write_bytes(ssl.PEM_cert_to_DER_cert(authority.ca_pem))
    (folder / "cert.pem").write_text(pair.pem)
    (folder / "key.pem").write_text(pair.key_pem)
    (folder / "pair.pem").write_text(pair.pem + pair.key_pem)
    (folder / "other.pem").write_text(other.key_pem)
    return folder


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry over plain HTTP under a name, so that no client takes it for its own host."""
    with Registry(tmp_path_factory.mktemp("registry"), name="reg.test") as running:
        yield running


@pytest.fixture(scope="module")
def containerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containerd]:
    """A containerd with its own settings."""
    with Containerd(tmp_path_factory.mktemp("containerd")) as running:
        yield running


def write(root: Path, folder: str, text: str | bytes, address: str, files: Path) -> Path:
    path = root / folder / "hosts.toml"
    path.parent.mkdir(parents=True)
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(data.replace(b"ADDRESS", address.encode()).replace(b"FOLDER", str(files).encode()))
    return path


def read(root: Path, text: str | bytes, files: Path) -> RegistryHosts:
    return read_hosts_toml(write(root, "reg.test:5000", text, "reg.test:5000", files))


@pytest.mark.parametrize("name", USED)
def test_what_is_right_is_active(tmp_path: Path, files: Path, name: str) -> None:
    found = read(tmp_path, USED[name], files)

    assert found.active
    assert not [flaw for flaw in found.flaws if flaw.kind is FlawKind.FILE]
    assert [table.url for table in found.hosts] == ["http://reg.test:5000/v2"]


@pytest.mark.parametrize("name", PASSED_OVER)
def test_what_containerd_passes_over_is_not_active(tmp_path: Path, files: Path, name: str) -> None:
    text, words = PASSED_OVER[name]
    found = read(tmp_path, text, files)

    assert not found.active
    assert words in found.flaws[0].message
    assert found.flaws[0].line is not None


@pytest.mark.parametrize("name", ENDS)
def test_files_that_are_not_there_end_a_pull(tmp_path: Path, files: Path, name: str) -> None:
    text, words = ENDS[name]
    found = read(tmp_path, text, files)

    assert [flaw.kind for flaw in found.flaws] == [FlawKind.FILE]
    assert words in found.flaws[0].message
    assert "PRIVATE" not in repr(found)


@pytest.mark.needs_root
@pytest.mark.needs("docker-registry", "containerd", "ctr")
@pytest.mark.parametrize("name", [*USED, *PASSED_OVER, *ENDS])
def test_containerd_1_6_judges_the_same(
    tmp_path: Path, files: Path, registry: Registry, containerd: Containerd, name: str
) -> None:
    text = USED[name] if name in USED else PASSED_OVER[name][0] if name in PASSED_OVER else ENDS[name][0]
    write(tmp_path, registry.address, text, registry.address, files)

    said = containerd.pull(f"{registry.address}/a:1", tmp_path, hosts=registry.hosts).stderr

    # The registry lacks the image: to be told so, containerd has to have gone there by plain HTTP.
    reached = "StatusNotFound" in said
    assert reached is (name in USED), said
    assert ("failed to decode hosts.toml" in said) is (name in PASSED_OVER), said


FOLDERS = {
    "reg.test:PORT": True,
    "reg.test_PORT_": True,
    "_default": True,
    "reg.test": False,
    "reg.test_PORT": False,
    "REG.TEST:PORT": False,
    "https_reg.test:PORT": False,
    "reg.test-PORT": False,
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_found_by_its_name(tmp_path: Path, files: Path, name: str) -> None:
    write(tmp_path, name.replace("PORT", "5000"), HOST, "reg.test:5000", files)
    folders = read_roots([tmp_path]).registries

    assert (folder_of(folders, "reg.test:5000") is not None) is FOLDERS[name]
    assert bool(list(named_wrongly(folders, "reg.test:5000"))) is not FOLDERS[name]


@pytest.mark.needs_root
@pytest.mark.needs("docker-registry", "containerd", "ctr")
@pytest.mark.parametrize("name", FOLDERS)
def test_containerd_finds_the_same_folders(
    tmp_path: Path, files: Path, registry: Registry, containerd: Containerd, name: str
) -> None:
    write(tmp_path, name.replace("PORT", str(registry.port)), HOST, registry.address, files)

    said = containerd.pull(f"{registry.address}/a:1", tmp_path, hosts=registry.hosts).stderr

    assert ("StatusNotFound" in said) is FOLDERS[name], said


def test_a_folder_of_its_own_comes_before_the_default(tmp_path: Path, files: Path) -> None:
    for name in ("_default", "reg.test:5000", "reg.test_5000_"):
        write(tmp_path, name, HOST, "reg.test:5000", files)

    found = folder_of(read_roots([tmp_path]).registries, "reg.test:5000")

    assert found is not None
    assert found.name == "reg.test_5000_"


def test_the_first_root_that_has_a_folder_counts(tmp_path: Path, files: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    write(second, "reg.test:5000", HOST, "reg.test:5000", files)
    write(first, "_default", HOST, "reg.test:5000", files)

    found = folder_of(read_roots([tmp_path / "none", first, second]).registries, "reg.test:5000")

    assert found is not None
    assert found.name == "_default"


@pytest.mark.parametrize(
    ("url", "override", "asked"),
    [
        ("https://m.test", False, "https://m.test/v2"),
        ("m.test:5000", False, "https://m.test:5000/v2"),
        ("http://m.test/", False, "http://m.test/v2"),
        ("https://m.test/cache", False, "https://m.test/cache/v2"),
        ("https://m.test/v2", False, "https://m.test/v2"),
        ("https://m.test/v2/cache", True, "https://m.test/v2/cache"),
        ("https://m.test", True, "https://m.test"),
    ],
)
def test_v2_is_appended_where_it_is_not_overridden(
    tmp_path: Path, files: Path, url: str, override: bool, asked: str
) -> None:
    found = read(tmp_path, f'[host."{url}"]\noverride_path = {str(override).lower()}\n', files)

    assert [table.url for table in found.hosts] == [asked]
    assert found.flaws == ()


def test_a_path_within_the_api_needs_to_be_overridden(tmp_path: Path, files: Path) -> None:
    (flaw,) = read(tmp_path, '[host."https://m.test/v2/cache"]\n', files).flaws

    assert (flaw.kind, flaw.key) == (FlawKind.IGNORED, "override_path")


def test_secrets_in_the_file_are_left_out(tmp_path: Path, files: Path) -> None:
    host = 'host."https://u:pa55word@m.test"'
    text = f'[{host}]\n[{host}.header]\nAuthorization = "t0ken"\n'
    found = read(tmp_path, text, files)

    assert found.hosts[0].authorization
    assert "pa55word" not in repr(found)
    assert "t0ken" not in repr(found)


def test_an_encrypted_key_is_no_key(tmp_path: Path, files: Path) -> None:
    from cryptography.hazmat.primitives import serialization

    key = serialization.load_pem_private_key((files / "key.pem").read_bytes(), password=None)
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(*form, serialization.BestAvailableEncryption(b"secret"))
    )

    assert pair_problem(files / "cert.pem", files / "key.pem") is None
    assert pair_problem(files / "cert.pem", tmp_path / "key.pem") is not None


def test_links_in_circles_and_pipes_are_no_trouble(tmp_path: Path) -> None:
    import os

    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "reg.test:5000").mkdir()
    os.mkfifo(tmp_path / "reg.test:5000/hosts.toml")

    (found,) = read_roots([tmp_path]).registries

    assert [flaw.message for flaw in found.flaws] == ["it is not a regular file"]
