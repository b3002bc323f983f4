"""Judges trust folders as docker's, podman's and containerd's code reads them.

docker (moby ``registry/registry.go``, ``ReadCertsDirectory``) and podman (containers/image
``pkg/tlsclientconfig``) take ``.crt`` for authorities, ``.cert`` with ``.key`` of the same base name for a
client's pair, and refuse the registry where half of a pair is missing. Other endings are passed over.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath

from regdoctor.api import (
    Certainty,
    Draft,
    Endpoint,
    Handshakes,
    TrustFile,
    TrustFolder,
    TrustFolders,
    finding,
    rule,
)

EVIDENCE = ("trust-folders",)

_CLIENTS = {
    "given": "docker and podman",
    "docker": "docker",
    "containers": "podman, skopeo and CRI-O",
    "containerd": "containerd",
}


@rule("trust/certs-d-misplaced")
def misplaced(endpoint: Endpoint, folders: TrustFolders, handshakes: Handshakes) -> Iterator[Draft]:
    """A file that would make the chain trusted lies where the client does not look for this host."""
    verifications = [each.verifications[0] for each in handshakes.handshakes if each.verifications]
    if not verifications or any(each.path or each.accepted for each in verifications):
        return
    client = verifications[0].context.name
    found = [(folder, file) for folder in folders.folders for file in folder.files if file.completes]
    if any(_is_half_a_pair(folder, file) for folder, file in found):
        # It lies in the right place under the wrong ending: half_a_pair says all.
        return
    right = [(folder, file) for folder, file in found if not _works(folder, file, client)]
    if not right:
        return
    right.sort(key=lambda pair: endpoint.host not in pair[0].path)
    folder, file = right[0]
    others = f" So would {_listed(other.path for _, other in right[1:])}." if right[1:] else ""
    expected = [path for path in folders.expected if _belongs(path, folder, client)] or list(folders.expected)
    yield finding(
        "trust/certs-d-misplaced",
        f"{file.path} holds {_listed(file.subjects)}, which would make the certificate of "
        f"{endpoint.address} trusted, "
        f"but {_why_not(folder, file, client, expected)}.{others}",
        fix=(_remedy(file, folder, expected, client),),
        evidence=EVIDENCE,
    )


def _works(folder: TrustFolder, file: TrustFile, client: str) -> bool:
    """Whether the client whose judgement counts reads the file as an authority for this host."""
    return folder.used and folder.client == client and file.path.endswith(".crt")


def _belongs(path: str, folder: TrustFolder, client: str) -> bool:
    root = str(PurePath(path).parent)
    return folder.client == client and (folder.path == root or str(PurePath(folder.path).parent) == root)


def _why_not(folder: TrustFolder, file: TrustFile, client: str, expected: list[str]) -> str:
    who = _CLIENTS.get(client, client)
    if folder.used and folder.client == client:
        return f"{who} take authorities only from files that end in .crt, and pass over {PurePath(file.path).name}"
    if folder.used:
        return f"that folder is read by {_CLIENTS.get(folder.client, folder.client)}, and not by {who}"
    return f"for this host {who} look into {_listed(expected)} alone, letter by letter, and not into {folder.path}"


def _remedy(file: TrustFile, folder: TrustFolder, expected: list[str], client: str) -> str:
    place = folder.path if folder.used and folder.client == client else expected[0]
    return f"mkdir -p {place} && cp {file.path} {place}/ca.crt"


@rule("trust/ca-as-client-cert")
def half_a_pair(endpoint: Endpoint, folders: TrustFolders) -> Iterator[Draft]:
    """A .cert without its .key in a folder that is used for this host."""
    for folder, file in _of_used(folders, ".cert"):
        if not _is_half_a_pair(folder, file):
            continue
        key = PurePath(file.path).with_suffix(".key").name
        what = _listed(file.subjects) or "no certificate that can be read"
        if file.authority or file.completes:
            judgement = "That is an authority, saved under the ending of client certificates."
            fix = f"mv {file.path} {PurePath(file.path).with_suffix('.crt')}"
            certainty = Certainty.PROVEN
        else:
            judgement = (
                "It does not look like an authority: if it is a client certificate, its key is missing; if "
                "not, the "
                "file does not belong there."
            )
            fix = f"put {key} beside {file.path}, or rename or remove the file"
            certainty = Certainty.LIKELY
        yield finding(
            "trust/ca-as-client-cert",
            f"{file.path} ({what}) has no {key} beside it. {judgement} {_CLIENTS[folder.client]} then "
            "refuse every "
            f"connection to {endpoint.address}: missing key {key} for client certificate "
            f"{PurePath(file.path).name}.",
            certainty=certainty,
            fix=(fix,),
            evidence=EVIDENCE,
        )


@rule("trust/stray-key")
def stray_key(endpoint: Endpoint, folders: TrustFolders) -> Iterator[Draft]:
    """A .key without its .cert in a folder that is used for this host."""
    for folder, file in _of_used(folders, ".key"):
        pair = PurePath(file.path).with_suffix(".cert")
        if any(other.path == str(pair) for other in folder.files):
            continue
        if file.key_of is not None:
            owner = next((other for other in folder.files if other.path == file.key_of), None)
            authority = owner is not None and owner.authority
            whose = f"It is the private key of {file.key_of}" + (
                ", an authority: whoever reads it can issue certificates that this host trusts."
                if authority
                else "."
            )
            fix = f"shred -u {file.path}" if authority else f"mv {file.key_of} {pair}"
        else:
            whose = "No certificate in the folder belongs to it."
            fix = f"put the client certificate beside it as {pair}, or remove {file.path}"
        yield finding(
            "trust/stray-key",
            f"{file.path} has no {pair.name} beside it. {whose} {_CLIENTS[folder.client]} then refuse every "
            "connection "
            f"to {endpoint.address}: missing client certificate {pair.name} for key "
            f"{PurePath(file.path).name}.",
            fix=(fix,),
            evidence=EVIDENCE,
        )


def _of_used(folders: TrustFolders, suffix: str) -> Iterator[tuple[TrustFolder, TrustFile]]:
    """The files with an ending in folders that are used; containerd does not refuse half a pair."""
    for folder in folders.folders:
        if folder.used and folder.client != "containerd":
            for file in folder.files:
                if file.path.endswith(suffix):
                    yield folder, file


def _is_half_a_pair(folder: TrustFolder, file: TrustFile) -> bool:
    """Whether a file is a .cert, in a folder that is used, whose .key is missing."""
    key = str(PurePath(file.path).with_suffix(".key"))
    return (
        folder.used
        and folder.client != "containerd"
        and file.path.endswith(".cert")
        and not any(other.path == key for other in folder.files)
    )


def _listed(items: Iterable[str]) -> str:
    found = list(items)
    return ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
