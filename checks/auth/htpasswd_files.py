"""Judges htpasswd files: which of their users the registry lets in, and whether it reads them at all."""

from __future__ import annotations

from collections.abc import Iterator

from regdoctor.api import (
    Certainty,
    Credentials,
    Draft,
    FlawKind,
    HashKind,
    HtpasswdEntry,
    HtpasswdFile,
    Severity,
    finding,
)

_MOST_TOLD = 10

_HASHES = {
    HashKind.APR1: "an MD5 hash ($apr1$, htpasswd without -B)",
    HashKind.SHA1: "a SHA-1 hash ({SHA}, htpasswd -s)",
    HashKind.CRYPT: "a crypt hash (htpasswd -d, mkpasswd)",
    HashKind.PLAIN: "no hash that is known, perhaps the password itself",
    HashKind.BROKEN: "a bcrypt hash that is cut off or changed",
}

_TELLING = "The registry compares with bcrypt alone and refuses these users as it refuses a wrong password."


def malformed(file: HtpasswdFile) -> Iterator[Draft]:
    """A line without a colon, for which the registry gives the whole file up."""
    broken = [flaw for flaw in file.flaws if flaw.kind is FlawKind.REFUSED]
    if not broken:
        return
    lines = ", ".join(str(flaw.line) for flaw in broken[:_MOST_TOLD])
    yield finding(
        "auth/htpasswd-malformed",
        f"{file.path}, line {lines}: {broken[0].message.partition(' at line ')[0]}. Such a line has no "
        "colon, or is longer than 64 KiB, and the registry then reads none of the file: every login of "
        "every user is answered 400 Bad Request, with an empty body.",
        evidence=tuple(flaw.place for flaw in broken[:_MOST_TOLD]),
    )


def unread(file: HtpasswdFile) -> Iterator[Draft]:
    """A file that this run could not read; only said where it is judged by itself."""
    for flaw in file.flaws:
        if flaw.kind is FlawKind.UNREAD:
            yield finding(
                "auth/htpasswd-malformed",
                f"{file.path} was not read: {flaw.message}. Whether the registry can, this run cannot see.",
                certainty=Certainty.POSSIBLE,
                severity=Severity.WARNING,
                evidence=(file.path,),
            )


def unsupported(file: HtpasswdFile, credentials: Credentials | None, *, alone: bool) -> Iterator[Draft]:
    """Users whose passwords are not stored by bcrypt.

    :param alone: whether the file is judged by itself; else it matters whether the login in use is hit.
    """
    if any(flaw.kind is FlawKind.REFUSED for flaw in file.flaws):
        return
    entries = [entry for entry in file.entries if entry.replaced is None]
    wrong = [entry for entry in entries if entry.hash is not HashKind.BCRYPT]
    if not wrong:
        return
    user = credentials.username if credentials is not None and credentials.found else None
    hit = alone or len(wrong) == len(entries) or user is None or any(each.username == user for each in wrong)
    yield finding(
        "auth/htpasswd-hash-unsupported",
        f"{_told(file, wrong)} {_TELLING}",
        severity=None if hit else Severity.WARNING,
        fix=tuple(f"htpasswd -B {file.path} {each.username}" for each in wrong[:3]),
        evidence=tuple(f"{file.path}:{each.line}" for each in wrong[:_MOST_TOLD]),
    )


def _told(file: HtpasswdFile, wrong: list[HtpasswdEntry]) -> str:
    shown = [f"{each.username} (line {each.line}) has {_HASHES[each.hash]}" for each in wrong[:_MOST_TOLD]]
    if len(wrong) > _MOST_TOLD:
        shown.append(f"and {len(wrong) - _MOST_TOLD} more")
    return f"{file.path}: {'; '.join(shown)}."


def generated(file: HtpasswdFile, credentials: Credentials | None) -> Iterator[Draft]:
    """A file in the very form in which the registry writes one that was missing."""
    if not file.generated:
        return
    user = credentials.username if credentials is not None and credentials.found else None
    if user == "docker":
        return
    written = f", written {file.modified:%Y-%m-%d %H:%M} UTC" if file.modified is not None else ""
    named = f" {file.named_by} names it." if file.named_by is not None else ""
    yield finding(
        "auth/htpasswd-generated",
        f"{file.path} holds nothing but the user docker, without a line end after the hash{written}: so the "
        "registry writes it where the file is missing when it starts, with a random password that it "
        f"prints into its log once (“htpasswd is missing, provisioning with default user”).{named} Nobody "
        "else can log in.",
        certainty=Certainty.PROVEN if user is not None else Certainty.LIKELY,
        evidence=(f"{file.path}:1",),
    )
