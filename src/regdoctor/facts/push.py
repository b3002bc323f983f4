"""Facts about pushes: what came of an upload on its way, and what it left behind. Only with ``--push``."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from regdoctor.facts.base import Cell, Fact, Failure, Table, TableFact
from regdoctor.facts.http import Answer
from regdoctor.oci.upload import Location
from regdoctor.secret import Secret


class UploadStep(msgspec.Struct, frozen=True, kw_only=True):
    """One request of an upload, and what came of it."""

    method: str
    answer: Answer | None
    failure: Failure | None = None
    seconds: float
    """From the beginning to the end of the whole exchange, the sending of the body included."""
    sent: int = 0
    """Bytes of the body that were handed to the network."""

    @property
    def status(self) -> int | None:
        """The status of the answer, or None where none came."""
        return self.answer.status if self.answer is not None else None

    @property
    def succeeded(self) -> bool:
        """Whether the answer is one of success (2xx)."""
        return self.answer is not None and 200 <= self.answer.status < 300


class RemainKind(StrEnum):
    """What a push leaves in a registry."""

    REPOSITORY = "repository"
    UPLOAD = "upload"
    BLOB = "blob"
    MANIFEST = "manifest"


class Remain(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was left in the registry."""

    kind: RemainKind
    where: str
    """The repository, and for a manifest its tag."""
    name: str
    """The digest, the tag or the session's id; of a repository its name."""
    size: int = 0
    """Bytes, as far as they were sent."""
    why: str
    """Why it is there still, and until when, in words."""


class PushAuthorization(Fact, frozen=True, kw_only=True):
    """Which repository the upload goes to, and what its requests carry.

    ``kind`` is ``none``, ``basic`` or ``bearer``; ``header`` the whole value of ``Authorization``, and
    ``removal`` that for DELETE, where it is another one.
    """

    repository: str
    own_repository: bool
    """Whether the name was made up, for the target names none."""
    kind: str
    header: Secret | None = None
    removal: Secret | None = None


class FurtherSession(msgspec.Struct, frozen=True, kw_only=True):
    """A further session, opened because the first one was lost: its start, and looks at its status."""

    start: UploadStep
    statuses: tuple[UploadStep, ...] = ()


class UploadSession(Fact, frozen=True, kw_only=True):
    """One upload from its start to its end, each request over a connection of its own.

    A step that is None was not made, because one before it failed. Methods and bodies are those of docker:
    POST, PATCH with a chunked body, PUT with the digest, HEAD (OCI distribution-spec, end-4a, 5, 6, 2).
    """

    repository: str
    own_repository: bool
    authorization: str
    """``none``, ``basic`` or ``bearer``."""
    start: UploadStep
    location: Location | None = None
    """Where the registry says that the upload goes on, judged against the URL that was asked."""
    elsewhere: UploadStep | None = None
    """What answers there without any credential, where it is another scheme, host or port."""
    forwarded: Location | None = None
    """``Location`` where the request itself names scheme and host in X-Forwarded headers, in that case."""
    statuses: tuple[UploadStep, ...] = ()
    """Looks at the session's status (end-13), before any byte was sent."""
    chunk: UploadStep | None = None
    commit: UploadStep | None = None
    look: UploadStep | None = None
    """HEAD of the blob."""
    read: UploadStep | None = None
    """GET of the blob."""
    read_back: bool | None = None
    """Whether the bytes read are those sent; None where they were not read."""
    deletion: UploadStep | None = None
    """DELETE of the blob."""
    methods: tuple[UploadStep, ...] = ()
    """Every method that pushes need, sent to a session and a blob that do not exist: where one was refused."""
    further: tuple[FurtherSession, ...] = ()
    """Further sessions, where this one was not found again."""
    stopped: str | None = None
    """Why the upload was not carried on although nothing failed."""
    remains: tuple[Remain, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the registry opened a session."""
        return self.start.succeeded

    @property
    def complete(self) -> bool:
        """Whether a blob was uploaded and is there."""
        return (
            self.commit is not None
            and self.commit.succeeded
            and self.look is not None
            and (self.look.succeeded or self.look.status in (301, 302, 303, 307, 308))
        )

    @property
    def steps(self) -> tuple[UploadStep, ...]:
        """The steps that every push makes, in order."""
        steps = (self.start, self.chunk, self.commit, self.look)
        return tuple(step for step in steps if step is not None)


class SizeTrial(msgspec.Struct, frozen=True, kw_only=True):
    """One request with a body of a certain size."""

    size: int
    """Bytes."""
    announced: bool
    """Whether the size was only announced by ``Content-Length``, and no byte sent."""
    step: UploadStep


class UploadSizes(Fact, frozen=True, kw_only=True):
    """Which sizes of bodies pass: the largest ones announced only, the small ones sent."""

    trials: tuple[SizeTrial, ...]
    withheld: str | None = None
    """Why no bytes were sent."""
    remains: tuple[Remain, ...] = ()


class SlowUpload(msgspec.Struct, frozen=True, kw_only=True):
    """One upload that takes its time."""

    start: UploadStep
    step: UploadStep | None
    """The PATCH; None where no session was opened."""
    planned: float
    """Seconds that the sending was to take."""
    pause: float
    """The longest time without a byte, in seconds."""
    whole: bool = False
    """Whether everything was sent before the request ended."""


class SlowUploads(Fact, frozen=True, kw_only=True):
    """Two slow uploads side by side: a steady one, and one that sends at first and then pauses."""

    steady: SlowUpload
    pausing: SlowUpload
    remains: tuple[Remain, ...] = ()


class ManifestPush(Fact, frozen=True, kw_only=True):
    """PUT of manifests: the existing one again under its own tag, unchanged; and one of our own, if asked for.

    ``reference`` is the image as ``repository:tag``.
    """

    reference: str | None = None
    again: UploadStep | None = None
    tag: str | None = None
    """What ``--push-tag`` names."""
    tagged: UploadStep | None = None
    skipped: str | None = None
    """Why a PUT was not made."""
    remains: tuple[Remain, ...] = ()


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was tried of a push."""

    what: str
    outcome: str
    unseen: str | None = None
    """What this way of trying cannot show."""


class PushTrials(TableFact, frozen=True, kw_only=True):
    """What was tried of a push, what came of it, and what that cannot show."""

    repository: str
    trials: tuple[Trial, ...]

    def table(self) -> Table:
        """One row for each thing that was tried."""
        return Table(
            title=f"How far a push came in {self.repository}",
            columns=("tried", "outcome"),
            rows=tuple(
                (
                    Cell(text=each.what),
                    Cell(text=each.outcome, notes=(each.unseen,) if each.unseen is not None else ()),
                )
                for each in self.trials
            ),
        )


class PolicyRefusal(Fact, frozen=True, kw_only=True):
    """The refusal of a look at the image's manifest by a policy: 412 (Harbor), or 403 that says so (Xray)."""

    answer: Answer


class HeadRefusal(Fact, frozen=True, kw_only=True):
    """A refusal of HEAD for a manifest that GET gives: something on the way does not let the method through."""

    answer: Answer
    got: Answer
    """The answer to GET."""


class DeletionRefusal(Fact, frozen=True, kw_only=True):
    """The registry's own refusal to delete the blob that was uploaded, and what stays for that reason."""

    answer: Answer
    remain: Remain


class PushRemains(TableFact, frozen=True, kw_only=True):
    """All that the push left in the registry; empty where nothing is left."""

    remains: tuple[Remain, ...]

    def table(self) -> Table:
        """One row for each thing that stays."""
        return Table(
            title="What the push left in the registry",
            columns=("what", "where", "name"),
            rows=tuple(
                (
                    Cell(text=each.kind.value),
                    Cell(text=each.where),
                    Cell(text=each.name if each.name != each.where else "", notes=(each.why,)),
                )
                for each in self.remains
            ),
        )
