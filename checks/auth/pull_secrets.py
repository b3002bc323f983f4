"""Judges Kubernetes pull secrets: their form, where they are named, and the images that they are for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from regdoctor.api import (
    Certainty,
    Draft,
    Flaw,
    FlawKind,
    InvalidReference,
    KubernetesObjects,
    Listed,
    PodImages,
    PullSecret,
    Reference,
    Severity,
    Target,
    docker_config,
    finding,
    near,
    parse_reference,
)

_HUB = "docker.io"
_MOST_TOLD = 5
_MOST_FINDINGS = 50

Secrets = Iterable[PullSecret]


def unread(objects: KubernetesObjects) -> Iterator[Draft]:
    """A file that is no manifest, or could not be read."""
    for flaw in objects.flaws:
        if flaw.kind is FlawKind.SYNTAX:
            yield finding(
                "auth/pull-secret-invalid",
                f"{flaw.path}, line {flaw.line}, column {flaw.column}: {flaw.message}. kubectl refuses the "
                "file, so what it should change stays as it was.",
                evidence=(flaw.place,),
            )
        else:
            yield finding(
                "auth/pull-secret-invalid",
                f"{flaw.path} was not read: {flaw.message}.",
                certainty=Certainty.POSSIBLE,
                severity=Severity.INFO,
                evidence=(flaw.path,),
            )


def unusable(objects: KubernetesObjects) -> Iterator[Draft]:
    """Secrets that the kubelet passes over, as a whole or in part."""
    for secret in objects.secrets[:_MOST_FINDINGS]:
        broken = [flaw for flaw in secret.flaws if flaw.kind is FlawKind.REFUSED]
        odd = [flaw for flaw in secret.flaws if flaw.kind is FlawKind.IGNORED]
        if broken:
            effect = (
                "Nothing of it helps a pull: the kubelet passes it over and pulls without a login."
                if not secret.registries
                else f"It still serves {', '.join(each.value for each in secret.registries[:_MOST_TOLD])}."
            )
            yield finding(
                "auth/pull-secret-invalid",
                f"The secret {_name(secret)} ({secret.place}): {_told(broken)}. {effect}",
                evidence=tuple(dict.fromkeys(flaw.place for flaw in broken)),
            )
        if odd:
            yield finding(
                "auth/pull-secret-invalid",
                f"The secret {_name(secret)} ({secret.place}): {_told(odd)}.",
                certainty=Certainty.LIKELY,
                severity=Severity.WARNING,
                evidence=tuple(dict.fromkeys(flaw.place for flaw in odd)),
            )


def _told(flaws: list[Flaw]) -> str:
    shown = [flaw.message for flaw in flaws[:_MOST_TOLD]]
    return "; ".join(shown + ([f"and {len(flaws) - _MOST_TOLD} more"] if len(flaws) > _MOST_TOLD else []))


def _name(secret: PullSecret) -> str:
    name = secret.name or "without a name"
    return f"{secret.namespace}/{name}" if secret.namespace else name


def misplaced(objects: KubernetesObjects) -> Iterator[Draft]:
    """``imagePullSecrets`` where it does nothing."""
    for pod in objects.pods[:_MOST_FINDINGS]:
        if pod.misplaced:
            yield finding(
                "auth/pull-secret-invalid",
                f"{_pod(pod)}: {_told(list(pod.misplaced))}. The API server refuses that or drops it, "
                "depending on how strictly it is asked, and the pods pull without a login.",
                evidence=tuple(flaw.place for flaw in pod.misplaced),
            )


def _pod(pod: PodImages) -> str:
    name = f"{pod.namespace}/{pod.name}" if pod.namespace else pod.name or "without a name"
    return f"The {pod.kind} {name}"


def wrongly_named(objects: KubernetesObjects) -> Iterator[Draft]:
    """Names of pull secrets that lead nowhere, as far as the files tell."""
    known = (*objects.secrets, *objects.beside)
    for pod in objects.pods[:_MOST_FINDINGS]:
        for named in pod.secrets:
            problem = _naming_problem(named.value, pod.namespace, known, objects.other_secrets)
            if problem is not None:
                yield finding(
                    "auth/pull-secret-invalid",
                    f"{_pod(pod)} names the pull secret {named.value} ({named.place}). {problem} The "
                    "kubelet then pulls without a login: “Unable to retrieve some image pull secrets”.",
                    certainty=Certainty.LIKELY,
                    evidence=(named.place,),
                )
    for account in objects.accounts[:_MOST_FINDINGS]:
        held = {each.value for each in account.secrets}
        names = {secret.name for secret in known if _same(secret.namespace, account.namespace)}
        for mounted in account.mounted:
            if mounted.value in names and mounted.value not in held:
                yield finding(
                    "auth/pull-secret-invalid",
                    f"The service account {account.name} lists the pull secret {mounted.value} under "
                    f"secrets ({mounted.place}), which pulls do not use; it belongs under imagePullSecrets.",
                    certainty=Certainty.LIKELY,
                    evidence=(mounted.place,),
                )


def _naming_problem(name: str, namespace: str | None, known: Secrets, others: tuple[str, ...]) -> str | None:
    """Why a name leads to no usable secret, in a sentence; None where it does, or where nothing is known of it."""
    namesakes = [secret for secret in known if secret.name == name]
    if any(_same(secret.namespace, namespace) for secret in namesakes):
        return None
    if namesakes:
        places = ", ".join(f"{secret.namespace} ({secret.place})" for secret in namesakes[:_MOST_TOLD])
        return (
            f"The files have it in the namespace {places}, and the pods are in {namespace}: a secret serves "
            "its own namespace only."
        )
    for other in others:
        where, _, other_name = other.rpartition("/")
        if other_name == name and _same(where or None, namespace):
            return "The secret of that name in the files is no pull secret: it has neither of the two types."
    here = [secret.name or "" for secret in known if _same(secret.namespace, namespace)]
    likely = near.near(name, here, limit=1)
    return f"No file here has it; there is {likely[0]}, which is spelt nearly the same." if likely else None


def _same(one: str | None, other: str | None) -> bool:
    """Whether two namespaces may be the same; where none is written it is decided elsewhere."""
    return one is None or other is None or one == other


def misfiled(objects: KubernetesObjects) -> Iterator[Draft]:
    """Pull secrets that do not match the images of the pods that name them, by the kubelet's own rules."""
    known = (*objects.secrets, *objects.beside)
    for pod in objects.pods[:_MOST_FINDINGS]:
        held = _secrets_of(pod, objects, known)
        if not held:
            continue
        keys = [key for secret in held for key in secret.registries]
        told: dict[str, Draft] = {}
        for image in pod.images:
            reference = _reference(image)
            if reference is None or any(_matches(key.value, reference) for key in keys):
                continue
            difference = _difference(keys, reference)
            if difference is not None:
                key, why = difference
                told.setdefault(
                    reference.domain,
                    finding(
                        "auth/credentials-misfiled",
                        f"{_pod(pod)} pulls {image.value} ({image.place}) with the secret "
                        f"{', '.join(_name(secret) for secret in held)}, whose entry is for {key.value} "
                        f"({key.place}): {why}. The kubelet finds no entry for the image and pulls without "
                        "a login.",
                        evidence=(key.place, image.place),
                    ),
                )
        yield from told.values()


def _secrets_of(
    pod: PodImages, objects: KubernetesObjects, known: tuple[PullSecret, ...]
) -> list[PullSecret]:
    """The pull secrets of a pod; empty where one of them is in none of the files."""
    names = {each.value for each in pod.secrets}
    for account in objects.accounts:
        if account.name == (pod.service_account or "default") and _same(account.namespace, pod.namespace):
            names |= {each.value for each in account.secrets}
    found = [secret for secret in known if secret.name in names and _same(secret.namespace, pod.namespace)]
    return found if {secret.name for secret in found} == names else []


def _reference(image: Listed) -> Reference | None:
    try:
        return parse_reference(image.value)
    except InvalidReference:
        return None


def _matches(key: str, reference: Reference) -> bool:
    return docker_config.kubelet_key_matches(
        key, f"{reference.domain}/{reference.repository}", is_hub=reference.on_docker_hub
    )


def _difference(keys: Iterable[Listed], reference: Reference) -> tuple[Listed, str] | None:
    """The entry that was surely meant for an image, and how it differs."""
    for key in keys:
        why = docker_config.key_difference(
            key.value, reference.credentials_key, repository=reference.repository
        )
        if why is not None:
            return key, why
    return None


def for_target(objects: KubernetesObjects, target: Target) -> Iterator[Draft]:
    """The pull secret that was given, against the image that is checked."""
    secrets = [secret for secret in objects.secrets if secret.registries]
    if not objects.secrets and not objects.flaws:
        yield finding(
            "auth/pull-secret-invalid",
            f"{objects.path} holds no secret that the kubelet reads: such a secret has the type "
            "kubernetes.io/dockerconfigjson and the key .dockerconfigjson.",
            evidence=(objects.path,),
        )
    if not secrets:
        return
    repository = target.repository or ""
    image = f"{target.domain}/{repository}".rstrip("/")
    keys = [key for secret in secrets for key in secret.registries]
    if any(docker_config.kubelet_key_matches(key.value, image, is_hub=target.domain == _HUB) for key in keys):
        return
    wanted = target.reference.credentials_key if target.reference is not None else target.domain
    for key in keys:
        why = docker_config.key_difference(key.value, wanted, repository=target.repository)
        if why is not None:
            yield finding(
                "auth/credentials-misfiled",
                f"{key.place} has an entry for {key.value}: {why}. By the kubelet's rules no entry is for "
                f"{image}, so it pulls without a login.",
                evidence=(key.place,),
            )
            return
    names = ", ".join(key.value for key in keys[:_MOST_TOLD])
    yield finding(
        "auth/credentials-misfiled",
        f"The pull secret has entries for {names}, and none for {target.domain}: the kubelet pulls without "
        "a login.",
        certainty=Certainty.LIKELY,
        severity=Severity.WARNING,
        evidence=tuple(key.place for key in keys[:_MOST_TOLD]),
    )
