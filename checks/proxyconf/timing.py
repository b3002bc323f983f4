"""What the timers of a proxy mean for uploads, and whether one has just struck. Pure."""

from __future__ import annotations

from regdoctor.api import Each, Ping, ProxyTimer, Severity, SlowUploads, TimerScope

WHOLE_UPLOAD = 600.0
"""Seconds that a layer of a few GB takes over a line of 50 Mbit/s."""
REGISTRY_SILENCE = 60.0
"""Seconds that registries on slow disks and object stores are silent while they finish a large layer; nginx's own
default, and too little by many reports. distribution's recipe has 900."""
GENEROUS_SILENCE = 300.0
CLIENT_PAUSE = 10.0
"""Seconds for which a client may send nothing while it compresses, or a line has a gap."""
NEAR = 0.2
"""How far a cut may lie from a timer, as a part of it, to be its doing."""

MEANINGS = {
    TimerScope.WHOLE: (
        "It ends a request after that time however steadily it comes, so that layers which take longer to upload "
        "never arrive, over slow lines first."
    ),
    TimerScope.SILENCE: (
        "It ends a request when the registry sends nothing for that time: while it finishes a large layer, and "
        "also when the client pauses in the middle of an upload."
    ),
    TimerScope.ANSWER: (
        "It gives the registry that time to answer: finishing a large layer takes longer on slow disks and object "
        "stores, and clients then get 504."
    ),
    TimerScope.PAUSE: "It ends an upload when the client pauses for that time, as it does while it compresses.",
}


def severity_of(timer: ProxyTimer, *, struck: str) -> Severity | None:
    """How bad a timer is; None where it is long enough."""
    seconds = timer.seconds if timer.seconds is not None else float("inf")
    if struck:
        return Severity.WARNING
    if timer.scope is TimerScope.WHOLE:
        return Severity.WARNING if seconds < WHOLE_UPLOAD else None
    if timer.scope is TimerScope.PAUSE:
        return Severity.WARNING if seconds < CLIENT_PAUSE else None
    if seconds < REGISTRY_SILENCE:
        return Severity.WARNING
    return Severity.INFO if seconds < GENEROUS_SILENCE else None


def struck(timer: ProxyTimer, slow: SlowUploads | None) -> str:
    """That a slow upload was ended when this timer ran out, as a sentence; empty where none was."""
    if slow is None or timer.seconds is None or timer.scope is TimerScope.ANSWER:
        return ""
    tried = (slow.steady, slow.pausing) if timer.scope is TimerScope.WHOLE else (slow.pausing,)
    for upload in tried:
        step = upload.step
        if step is None or step.succeeded:
            continue
        if upload.whole:
            # Caddy notices only at the end that its connection to the registry has been cut.
            if timer.scope is TimerScope.WHOLE and step.status in (502, 504) and step.seconds > timer.seconds:
                return f"An upload that took {step.seconds:.1f} s was answered {step.status} just now."
            continue
        late = step.seconds - timer.seconds
        if timer.scope is not TimerScope.WHOLE and late > 0 and upload.pause > 0:
            # Every pause may be the one that is too long; they follow each other.
            late = min(late % upload.pause, upload.pause - late % upload.pause)
        if -NEAR * timer.seconds <= late <= max(1.0, NEAR * timer.seconds):
            return f"An upload of {upload.planned:g} s was ended after {step.seconds:.1f} s just now."
    return ""


def kept_waiting(timer: ProxyTimer, pings: Each[Ping]) -> str:
    """That the registry was cut short when this timer ran out, as a sentence; empty where it was not."""
    if timer.seconds is None or timer.scope not in (TimerScope.ANSWER, TimerScope.SILENCE):
        return ""
    for ping in pings.values():
        answer = ping.answer
        if answer is not None and answer.status == 504:
            late = answer.seconds - timer.seconds
            if -NEAR * timer.seconds <= late <= max(1.0, NEAR * timer.seconds):
                return f"Just now {answer.url} was answered 504 after {answer.seconds:.1f} s."
    return ""


def outlived(timer: ProxyTimer, slow: SlowUploads | None) -> bool:
    """Whether an upload passed that this timer should have ended."""
    if slow is None or timer.seconds is None:
        return False
    if timer.scope is TimerScope.WHOLE:
        step = slow.steady.step
        return step is not None and step.succeeded and step.seconds > timer.seconds + 1
    if timer.scope is TimerScope.ANSWER:
        return False
    step = slow.pausing.step
    return step is not None and step.succeeded and slow.pausing.pause > timer.seconds + 1
