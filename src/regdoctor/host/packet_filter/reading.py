"""Reads the rules of this host's packet filter, or of the network namespace that this process is in."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from regdoctor.host.commands import CommandResult, run_command
from regdoctor.host.installed import find_program
from regdoctor.host.packet_filter.iptables import read_save
from regdoctor.host.packet_filter.nftables import read_ruleset, read_texts
from regdoctor.host.packet_filter.rules import Ruleset

_LARGEST: Final = 64 * 1024 * 1024
"""Bytes of a listing."""
_LEGACY: Final = {"ip": "ip_tables_names", "ip6": "ip6_tables_names"}
"""Below ``/proc/net``: the tables of the older iptables that are in use."""


class Unreadable(Exception):  # noqa: N818 - a state, said in a clause
    """The rules cannot be read; the message says why."""


def read_rules(
    environment: Mapping[str, str], timeout: float, proc_net: Path = Path("/proc/thread-self/net")
) -> Ruleset:
    """All rules of nftables, and those of iptables, whichever of its two kinds.

    :param timeout: seconds for each program.
    :raises Unreadable: no program is there that lists them, or it may not, or it fails.
    """
    reader = _Reader(environment, timeout)
    legacy = [family for family, name in _LEGACY.items() if _is_filled(proc_net / name)]
    if reader.find("nft") is None and not legacy:
        raise Unreadable("the program nft, which lists them, is not installed")
    ruleset = reader.nftables() if reader.find("nft") is not None else Ruleset()
    for family in legacy:
        ruleset.chains.update(read_save(reader.save(family, "legacy"), family, " (legacy)").chains)
    return ruleset


class _Reader:
    """Runs the programs that list rules."""

    def __init__(self, environment: Mapping[str, str], timeout: float) -> None:
        self._environment = {"PATH": environment.get("PATH", os.defpath), "LC_ALL": "C"}
        self._timeout = timeout

    def find(self, program: str) -> str | None:
        """The program's path, or None."""
        return find_program(program, self._environment)

    def nftables(self) -> Ruleset:
        """What nft lists; tables of iptables that it cannot show whole come from iptables itself."""
        listing = self._run("nft", "-a", "list", "ruleset").decode("utf-8", "replace")
        try:
            document = json.loads(self._run("nft", "-j", "list", "ruleset"))
        except (ValueError, RecursionError):
            raise Unreadable("nft prints no JSON; versions before 0.9 cannot") from None
        ruleset, foreign = read_ruleset(document, read_texts(listing))
        for family in {family for family, _table in foreign if family in _LEGACY}:
            if self.find(_program(family, "nft")) is None:
                # Its own matches stay unknown.
                continue
            saved = read_save(self.save(family, "nft"), family)
            tables = {table for _family, table, _name in saved.chains}
            for key in [key for key in ruleset.chains if key[0] == family and key[1] in tables]:
                del ruleset.chains[key]
            ruleset.chains.update(saved.chains)
        return ruleset

    def save(self, family: str, kind: str) -> str:
        """What ``iptables-save`` or ``ip6tables-save`` of a kind (``nft``, ``legacy``) prints."""
        return self._run(_program(family, kind)).decode("utf-8", "replace")

    def _run(self, name: str, *arguments: str) -> bytes:
        program = self.find(name)
        if program is None:
            raise Unreadable(f"the program {name}, which lists them, is not installed")
        try:
            result = run_command(
                [program, *arguments], environment=self._environment, timeout=self._timeout, limit=_LARGEST
            )
        except OSError as error:
            raise Unreadable(f"{name} cannot be started: {error.strerror or error}") from error
        if result.status != 0:
            raise Unreadable(_why(name, result))
        return result.stdout


def _program(family: str, kind: str) -> str:
    return f"{'iptables' if family == 'ip' else 'ip6tables'}-{kind}-save"


def _why(name: str, result: CommandResult) -> str:
    words = result.stderr.decode("utf-8", "replace").strip().splitlines()
    if any("ermission denied" in line or "not permitted" in line or "be root" in line for line in words):
        return f"{name} may not be run by this user; as root it lists them"
    if result.timed_out:
        return f"{name} took too long"
    return f"{name} failed" + (f": {words[-1]}" if words else "")


def _is_filled(path: Path) -> bool:
    try:
        return bool(path.read_text(encoding="ascii", errors="replace").strip())
    except OSError:
        return False
