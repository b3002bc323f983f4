"""Reads the answers of several nameservers together: who answered, what, and for which name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from regdoctor.api import Failure, FailureKind, NameserverAnswer

ANSWERED = frozenset({"NOERROR", "NXDOMAIN"})
"""Response codes of a nameserver that knows: the name has these records, or does not exist."""


def usual(answers: Iterable[NameserverAnswer]) -> tuple[NameserverAnswer, ...]:
    """The answers to the questions that clients ask: DNSSEC validation not switched off."""
    return tuple(each for each in answers if not each.checking_disabled)


def about(answers: Iterable[NameserverAnswer], name: str) -> tuple[NameserverAnswer, ...]:
    """The usual answers for one name. Case does not matter (RFC 4343)."""
    return tuple(each for each in usual(answers) if each.name.lower() == name.lower())


def by_nameserver(answers: Iterable[NameserverAnswer]) -> dict[str, tuple[NameserverAnswer, ...]]:
    """The answers of each nameserver, in the order in which they were asked."""
    grouped: dict[str, list[NameserverAnswer]] = {}
    for each in answers:
        grouped.setdefault(each.nameserver, []).append(each)
    return {nameserver: tuple(each) for nameserver, each in grouped.items()}


def knows(answer: NameserverAnswer) -> bool:
    """Whether it is a whole answer of a nameserver that knows."""
    return answer.rcode in ANSWERED and not answer.truncated


def has_answered(answers: Sequence[NameserverAnswer]) -> bool:
    """Whether a nameserver gave a whole answer to any of the questions."""
    return any(knows(each) for each in answers)


def addresses_of(answers: Iterable[NameserverAnswer]) -> tuple[str, ...]:
    """All addresses in the answers, each once, in order; those of cut answers too."""
    return tuple(dict.fromkeys(address for each in answers for address in each.addresses))


def is_silent(answers: Sequence[NameserverAnswer]) -> bool:
    """Whether a nameserver let every question time out."""
    return bool(answers) and all(
        each.failure is not None and each.failure.kind is FailureKind.RESOLVER_TIMEOUT for each in answers
    )


def describe(answers: Sequence[NameserverAnswer]) -> str:
    """What one nameserver said, in words: ``10.0.0.2: A NXDOMAIN (3 ms), AAAA no answer within 5.0 s``."""
    parts = []
    for each in answers:
        question = f"{each.record}{' by TCP' if each.transport == 'tcp' else ''}"
        if each.failure is not None:
            parts.append(f"{question} {_describe_failure(each, each.failure)}")
            continue
        said = ", ".join(each.addresses) or ("no address" if each.rcode == "NOERROR" else str(each.rcode))
        if each.canonical_name is not None and not each.addresses:
            said = f"alias of {each.canonical_name}, {said}"
        cut = ", cut off" if each.truncated else ""
        parts.append(f"{question} {said}{cut} ({each.seconds * 1000:.0f} ms{_count(each)})")
    return f"{answers[0].nameserver}: {'; '.join(parts)}"


def _describe_failure(answer: NameserverAnswer, failure: Failure) -> str:
    match failure.kind:
        case FailureKind.RESOLVER_TIMEOUT:
            return f"no answer within {answer.seconds:.1f} s{_count(answer)}"
        case FailureKind.RESOLVER_REFUSED:
            return "nothing listens there"
        case FailureKind.RESOLVER_ANSWER_INVALID:
            return "a reply that cannot be read"
        case _:
            return failure.message


def _count(answer: NameserverAnswer) -> str:
    return f", asked {answer.attempts} times" if answer.attempts > 1 else ""
