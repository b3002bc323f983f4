"""Measures regdoctor beside a peer in the same run, on the same stack, and prints one table.

    python benchmarks/run.py [--rounds N] [--only NAME…] [--write README.md]

Wall times are medians over the rounds; the two commands of a row take turns. Real servers: Debian's
docker-registry with TLS and a token server; a delaying TCP relay; a packet filter in a network namespace (root);
storages of 20,000 blobs and 2,000 tags, and of 1 GiB. ``benchmarks/storage_scale.py`` measures larger ones.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.relay import delaying_relay  # noqa: E402
from tests.support import programs  # noqa: E402
from tests.support.certificates import CertificateFiles, root_authority  # noqa: E402
from tests.support.images import push_image  # noqa: E402
from tests.support.netns import linked_hosts  # noqa: E402
from tests.support.ports import free_port  # noqa: E402
from tests.support.registry import Registry  # noqa: E402
from tests.support.storage_tree import StorageTree  # noqa: E402
from tests.support.token_server import TokenServer  # noqa: E402

ROUND_TRIP = 0.040
PEER_BOUND = 60.0
USER, PASSWORD = "alice", "wonderland"
BEGIN, END = "<!-- benchmark -->", "<!-- /benchmark -->"


@dataclass(frozen=True)
class Row:
    """One comparison. Seconds."""

    what: str
    ours: float
    peer_name: str
    peer: float
    target: str
    met: bool
    peer_bounded: bool = False

    def cells(self) -> tuple[str, ...]:
        """The row of the table."""
        peer = f"> {self.peer:.0f} s (stopped)" if self.peer_bounded else _seconds(self.peer)
        ratio = self.ours / self.peer
        return (
            self.what,
            _seconds(self.ours),
            f"{self.peer_name}: {peer}",
            f"{ratio:.2f}×" if ratio < 10 else f"{ratio:.1f}×",
            f"{self.target}: {'met' if self.met else 'missed'}",
        )


def _seconds(value: float) -> str:
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


@dataclass(frozen=True)
class Stack:
    """A healthy TLS registry with a token server, and how to ask each client about its image."""

    image: str
    authority: Path
    folder: Path

    def regdoctor(self) -> Callable[[], object]:
        """Checks the image with regdoctor."""
        command = [
            sys.executable, "-m", "regdoctor", "check", self.image, "--cacert", str(self.authority),
            "--username", USER, "--password-stdin", "--platform", "linux/amd64",
        ]  # fmt: skip
        return lambda: _run(command, self.folder, given=PASSWORD, codes=(0,))

    def skopeo(self) -> Callable[[], object]:
        """Inspects the image with skopeo."""
        command = [
            programs.path("skopeo"),
            "inspect",
            "--creds",
            f"{USER}:{PASSWORD}",
            f"docker://{self.image}",
        ]
        environment = {"SSL_CERT_FILE": str(self.authority), "SSL_CERT_DIR": str(self.folder / "none")}
        return lambda: _run(command, self.folder, environment=environment, codes=(0,))


def _run(
    command: Sequence[str],
    folder: Path,
    *,
    given: str = "",
    environment: dict[str, str] | None = None,
    codes: tuple[int, ...] = (0, 3),
) -> str:
    base = {"PATH": os.environ["PATH"], "HOME": str(folder), "LANG": "C.UTF-8"}
    done = subprocess.run(
        command, input=given, text=True, capture_output=True, env=base | (environment or {}), check=False
    )
    if done.returncode not in codes:
        raise RuntimeError(f"{command[:4]} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


@contextmanager
def healthy_stack(folder: Path, round_trip: float) -> Iterator[Stack]:
    """The registry and its token server, each behind a relay where ``round_trip`` is not 0."""
    authority = root_authority()
    tls: CertificateFiles = authority.issue(["localhost"], ["127.0.0.1"]).write(folder / "tls")
    registry_port, token_port = free_port(), free_port()
    with (
        delaying_relay(registry_port, round_trip) as seen_registry,
        delaying_relay(token_port, round_trip) as seen_token,
        TokenServer(folder / "tokens", users={USER: PASSWORD}, port=token_port, tls=tls) as tokens,
        Registry(
            folder / "registry",
            port=registry_port,
            tls=tls,
            token=tokens.auth(realm=f"https://127.0.0.1:{seen_token}/token"),
        ) as registry,
    ):
        push_image(registry.client(tokens.credential), "team/app", "1.0", layers=3)
        yield Stack(f"127.0.0.1:{seen_registry}/team/app:1.0", tls.ca, folder)


def _median(first: Callable[[], object], second: Callable[[], object], rounds: int) -> tuple[float, float]:
    """Median wall times of two commands that take turns; a first turn of each is not counted.

    What a command returns as a number counts in place of its wall time.
    """
    first()
    second()
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(rounds):
        for action, taken in zip((first, second), times, strict=True):
            started = time.monotonic()
            measured = action()
            whole = time.monotonic() - started
            taken.append(measured if isinstance(measured, float) else whole)
    return statistics.median(times[0]), statistics.median(times[1])


def start_up(folder: Path, rounds: int) -> Row:
    """``regdoctor --help`` beside a bare interpreter."""
    ours, peer = _median(
        lambda: _run([sys.executable, "-m", "regdoctor", "--help"], folder),
        lambda: _run([sys.executable, "-c", "pass"], folder),
        rounds * 4,
    )
    return Row("`regdoctor --help`", ours, "`python -c pass`", peer, "under 8×", ours < 8 * peer)


def loopback(folder: Path, rounds: int) -> Row:
    """A healthy image over loopback beside ``skopeo inspect``."""
    with healthy_stack(folder / "near", 0.0) as stack:
        ours, peer = _median(stack.regdoctor(), stack.skopeo(), rounds)
    return Row(
        "healthy image, TLS and token, loopback", ours, "`skopeo inspect`", peer, "at most 1 s", ours <= 1
    )


def distant(folder: Path, rounds: int) -> Row:
    """The same with 40 ms for every exchange."""
    with healthy_stack(folder / "far", ROUND_TRIP) as stack:
        ours, peer = _median(stack.regdoctor(), stack.skopeo(), rounds)
    what = f"the same, {ROUND_TRIP * 1000:.0f} ms an exchange"
    return Row(what, ours, "`skopeo inspect`", peer, "at most 1.5×", ours <= 1.5 * peer)


def black_hole(folder: Path, _rounds: int) -> Row:
    """An address whose packets vanish, time-out 5 s; the peer is stopped after a minute."""
    folder.mkdir(parents=True, exist_ok=True)
    with linked_hosts() as hosts:
        hosts.server.block("tcp dport 5000 drop")
        target = f"{hosts.server_address}:5000/team/app:1.0"

        def timed(*command: str) -> tuple[float, bool]:
            started = time.monotonic()
            try:
                hosts.client.run(command, check=False, timeout=PEER_BOUND)
            except subprocess.TimeoutExpired:
                return PEER_BOUND, True
            return time.monotonic() - started, False

        ours, _stopped = timed(sys.executable, "-m", "regdoctor", "check", target)
        peer, stopped = timed(programs.path("skopeo"), "inspect", f"docker://{target}")
    return Row(
        "black hole (time-out 5 s)",
        ours,
        "`skopeo inspect`",
        peer,
        "within 6.5 s",
        ours <= 6.5,
        peer_bounded=stopped,
    )


TAGS, LAYERS = 2000, 8
"""Images of the storage whose links and manifests are read, and the layers of each: 10 blobs with the others."""
WORKERS = len(os.sched_getaffinity(0))


def _fsck(folder: Path, root: Path, *options: str) -> dict[str, float]:
    """Reads a storage with regdoctor; returns its facts."""
    printed = _run(
        [sys.executable, "-m", "regdoctor", "fsck", str(root), "--format", "json", *options],
        folder,
        codes=(0,),
    )
    facts: dict[str, float] = json.loads(printed)["targets"][0]["facts"]["storage-content"]
    return facts


def _storage_of_images(folder: Path) -> StorageTree:
    """A storage of 20,000 blobs and 2,000 tags in 100 repositories."""
    tree = StorageTree(folder / "storage")
    for number in range(TAGS):
        layers = [os.urandom(200) for _ in range(LAYERS)]
        tree.image(f"team{number % 20}/app{number % 100}", f"v{number}", layers)
    return tree


def _collector(folder: Path, root: Path) -> Callable[[], object]:
    """A dry run of the registry's own garbage collection."""
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage: {{filesystem: {{rootdirectory: {root}}}}}\nhttp: {{addr: '127.0.0.1:0'}}\n"
    )
    command = [programs.path("docker-registry"), "garbage-collect", "--dry-run", str(config)]
    return lambda: _run(command, folder, codes=(0,)) and None


def metadata(folder: Path, rounds: int) -> Row:
    """The pass over links and manifests, as fsck itself measures it, beside a dry run of garbage collection."""
    tree = _storage_of_images(folder)
    ours, peer = _median(lambda: _fsck(folder, tree.root)["seconds"], _collector(folder, tree.root), rounds)
    return Row(
        "metadata pass of `fsck`, 20,000 blobs, 2,000 tags",
        ours,
        "`garbage-collect --dry-run`",
        peer,
        "3× faster",
        3 * ours <= peer,
    )


def metadata_command(folder: Path, rounds: int) -> Row:
    """The same as whole commands."""
    tree = _storage_of_images(folder)
    ours, peer = _median(lambda: _fsck(folder, tree.root) and None, _collector(folder, tree.root), rounds)
    return Row("the whole command", ours, "`garbage-collect --dry-run`", peer, "no slower", ours <= peer)


def verification(folder: Path, rounds: int) -> Row:
    """Hashing a GiB in large and small blobs, beside as many ``sha256sum``."""
    tree = StorageTree(folder / "storage")
    for number in range(40):
        tree.image("large", f"v{number}", [os.urandom(24 * 1024**2), os.urandom(1024**2)])
    for number in range(500):
        tree.image("small", f"v{number}", [os.urandom(4096), os.urandom(16384)])
    paths = "\0".join(str(path) for path in (tree.path / "blobs").rglob("data"))
    peer_command = ["xargs", "-0", "-P", str(WORKERS), "-n", "8", "sha256sum"]
    ours, peer = _median(
        lambda: _fsck(folder, tree.root, "--verify", "--jobs", str(WORKERS)) and None,
        lambda: _run(peer_command, folder, given=paths, codes=(0,)) and None,
        rounds,
    )
    return Row(
        f"`fsck --verify`, 1 GiB, {WORKERS} workers",
        ours,
        "`xargs -P sha256sum`",
        peer,
        "no slower",
        ours <= peer,
    )


MEASUREMENTS: dict[str, Callable[[Path, int], Row]] = {
    "start-up": start_up,
    "loopback": loopback,
    "distant": distant,
    "black-hole": black_hole,
    "metadata": metadata,
    "metadata-command": metadata_command,
    "verification": verification,
}


def table(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table."""
    head = ("What", "regdoctor", "beside", "ratio", "target")
    lines = [" | ".join(head), " | ".join("---" for _ in head)]
    lines += [" | ".join(row.cells()) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def main() -> int:
    """Measures, prints the table, and says by the exit code whether every target was met."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", action="append", choices=sorted(MEASUREMENTS))
    parser.add_argument(
        "--write", type=Path, help="put the table into this file, between its benchmark marks"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        rows = [
            measure(Path(name) / title, options.rounds)
            for title, measure in MEASUREMENTS.items()
            if not options.only or title in options.only
        ]
    made = table(rows)
    print(made)
    if options.write is not None:
        text = options.write.read_text()
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        options.write.write_text(f"{before}{BEGIN}\n{made}\n{END}{after}")
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
