"""Finds out what the registry asks for, gets the access for it, and asks on where it is refused."""

from __future__ import annotations

import secrets
from pathlib import Path

from regdoctor.api import (
    Answer,
    Blocked,
    Challenges,
    ConfigFile,
    ConfiguredFiles,
    Context,
    CredentialKind,
    Credentials,
    Endpoint,
    Failure,
    FileState,
    HtpasswdFile,
    KubernetesObjects,
    ManifestLook,
    NotApplicable,
    Permissions,
    Ping,
    Product,
    PullAuthorization,
    Refusal,
    RegistryEnvironment,
    Role,
    Scope,
    Secret,
    Target,
    TokenExchange,
    TokenService,
    TokenSettings,
    UploadSession,
    challenges,
    docker_config,
    htpasswd,
    kubernetes,
    probe,
    scopes,
    token_requests,
    token_settings,
)

from .exchanging import ask_for_token
from .permissions import Asker


@probe
def read_challenges(endpoint: Endpoint, target: Target, ping: Ping, context: Context) -> Challenges:
    """Reads the challenge of ``/v2/``; where that is open, looks below a repository of a random name as well.

    Registries and proxies that protect only a part of the paths ask for a login there. For an image the
    manifest request shows as much, and nothing is asked here.
    """
    answer = _registry_answer(endpoint, ping)
    if answer.status == 401 or target.reference is not None:
        return _challenges(answer, answer, repository=None)
    repository = ping.control or _look_below(endpoint, context)
    asking = repository if repository is not None and repository.status == 401 else answer
    return _challenges(answer, asking, repository=repository)


def _registry_answer(endpoint: Endpoint, ping: Ping) -> Answer:
    if not ping.trusted:
        raise Blocked(f"clients do not trust the certificate of {endpoint.address}")
    if ping.answer is None:
        why = ping.failure.message if ping.failure is not None else "no answer came"
        raise Blocked(f"{endpoint.address} gave no answer at /v2/: {why}")
    if ping.redirect_problem is not None or ping.answer.status not in (200, 401):
        raise Blocked(f"{endpoint.address} answered {ping.answer.status} at /v2/, where clients stop")
    if ping.control is not None and ping.control.status == 200:
        raise NotApplicable(f"what answers at {endpoint.address} is no registry")
    return ping.answer


def _look_below(endpoint: Endpoint, context: Context) -> Answer | None:
    url = f"{endpoint.url}/v2/{_random_name()}/tags/list"
    response = context.http.request("GET", url, proxy=endpoint.proxy)
    return None if isinstance(response, Failure) else response.answer


def _random_name() -> str:
    """A repository name that nobody has."""
    return f"regdoctor-{secrets.token_hex(8)}"


def _challenges(ping: Answer, asking: Answer, *, repository: Answer | None) -> Challenges:
    return Challenges(
        answer=asking,
        challenges=challenges.parse_challenges(asking.all_headers("www-authenticate"))
        if asking.status == 401
        else (),
        at_ping=ping.status == 401,
        ping_status=ping.status,
        ping_exchange=ping.exchange,
        repository=repository,
    )


@probe
def name_token_server(endpoint: Endpoint, asked: Challenges, context: Context) -> TokenService:
    """Reads from the Bearer challenge which token server clients are sent to."""
    if asked.of("bearer") is None:
        wants = "another kind of login" if asked.wanted else "no login"
        raise NotApplicable(f"{endpoint.address} asks for {wants}")
    return _token_service(endpoint, asked, context)


def _token_service(registry: Endpoint, asked: Challenges, context: Context) -> TokenService:
    """The token server of a Bearer challenge."""
    bearer, url = asked.of("bearer"), asked.answer.url
    if bearer is None:
        return TokenService(realm=None, problem="there is no Bearer challenge")
    problem = challenges.realm_syntax_problem(bearer.realm, url)
    host = None
    if problem is None and bearer.realm is not None:
        try:
            host = context.endpoint(role=Role.TOKEN_SERVER, url=bearer.realm)
        except ValueError as error:
            problem = f"the realm cannot be used: {error}"
    elsewhere = host is not None and (host.scheme, host.address) != (registry.scheme, registry.address)
    return TokenService(
        endpoints=(host,) if host is not None and elsewhere else (),
        realm=bearer.realm,
        service=bearer.service,
        host=host,
        problem=problem,
        downgrades=bearer.realm is not None and challenges.realm_downgrades(bearer.realm, url),
    )


@probe
def look_up_credentials(target: Target, context: Context) -> Credentials:
    """Takes the credentials that were given, else those that docker or podman would find."""
    options = context.options
    if options.username is not None:
        found = Credentials(
            key=target.domain,
            kind=CredentialKind.PASSWORD,
            username=options.username,
            secret=options.password,
            source="--username",
        )
    else:
        found = docker_config.find_credentials(
            target.domain,
            environment=context.environment,
            home=context.home,
            repository=target.repository,
            authfile=options.authfile,
            helper_timeout=context.deadline.step(),
        )
    if found.secret is not None:
        context.conceal(found.secret)
    return found


@probe
def exchange_token(
    target: Target, service: TokenService, credentials: Credentials, context: Context
) -> TokenExchange:
    """Asks the token server as docker and podman do: with credentials where there are any."""
    if service.host is None:
        raise Blocked(f"the registry names no usable token server: {service.problem}")
    if credentials.kind is CredentialKind.REGISTRY_TOKEN:
        raise NotApplicable("the stored credential is a token for the registry itself")
    actions = ("push",) if context.options.push else ()
    return ask_for_token(service, credentials, _pull_scope(target, *actions), context)


def _pull_scope(target: Target, *more: str) -> tuple[Scope, ...]:
    """The access that a pull of the target needs; none for a bare registry."""
    return (
        (scopes.repository_scope(target.repository, "pull", *more),) if target.repository is not None else ()
    )


@probe
def authorize(
    endpoint: Endpoint,
    target: Target,
    asked: Challenges,
    credentials: Credentials,
    service: TokenService | None,
    exchange: TokenExchange | None,
    context: Context,
) -> PullAuthorization:
    """Settles what later requests carry; a bare registry is asked at ``/v2/`` with it."""
    if not asked.wanted:
        return PullAuthorization(kind="none", header=None, username=None, answer=asked.answer)
    if asked.of("bearer") is not None and (service is None or service.host is not None):
        kind, header = "bearer", _bearer_header(endpoint, credentials, exchange)
    elif asked.of("basic") is not None:
        kind, header = "basic", _basic_header(endpoint, credentials)
    else:
        raise Blocked(f"{endpoint.address} asks for a login in a way that no client can answer")
    granted = None
    if exchange is not None and exchange.granted is not None and exchange.asked:
        granted = scopes.covers(exchange.granted, exchange.asked)
    context.conceal(header)
    if not context.http.may_carry_credentials(endpoint.url):
        raise Blocked(_withheld(endpoint.url))
    answer = failure = None
    if target.reference is None:
        url = endpoint.url + "/v2/"
        response = context.http.request("GET", url, authorization=header, proxy=endpoint.proxy)
        if isinstance(response, Failure):
            failure = response
        else:
            answer = response.answer
    return PullAuthorization(
        kind=kind,
        header=header,
        header_bytes=len(header.reveal()),
        username=credentials.username,
        scope_granted=granted,
        answer=answer,
        failure=failure,
    )


def _withheld(url: str) -> str:
    return (
        f"the login was not sent to {url}, where it would travel in clear; --plain-http, or an entry of that host "
        "among the insecure registries, allows it"
    )


def _bearer_header(endpoint: Endpoint, credentials: Credentials, exchange: TokenExchange | None) -> Secret:
    if credentials.kind is CredentialKind.REGISTRY_TOKEN and credentials.secret is not None:
        return token_requests.bearer_authorization(credentials.secret)
    if exchange is None:
        raise Blocked(f"the token server of {endpoint.address} was not asked")
    if exchange.token is not None:
        return token_requests.bearer_authorization(exchange.token)
    if exchange.withheld is not None:
        raise Blocked(_withheld(exchange.withheld))
    if exchange.failure is not None:
        raise Blocked(f"the token server cannot be reached: {exchange.failure.message}")
    if exchange.problem is not None:
        raise Blocked(f"the token server gave no token: {exchange.problem}")
    status = exchange.answer.status if exchange.answer is not None else "nothing"
    if not exchange.credential_sent and status in (401, 403):
        raise Blocked(f"the token server of {endpoint.address} gives nothing to anonymous clients")
    raise Blocked(f"the token server of {endpoint.address} answered {status}")


def _basic_header(endpoint: Endpoint, credentials: Credentials) -> Secret:
    if credentials.kind is not CredentialKind.PASSWORD or not credentials.username or not credentials.secret:
        raise Blocked(f"{endpoint.address} asks for user name and password, and there are none for it")
    return token_requests.basic_authorization(credentials.username, credentials.secret)


@probe
def ask_on(
    endpoint: Endpoint,
    target: Target,
    authorization: PullAuthorization,
    credentials: Credentials,
    service: TokenService | None,
    exchange: TokenExchange | None,
    manifest: ManifestLook | None,
    config: ConfigFile | None,
    context: Context,
) -> Refusal:
    """Where the access that was obtained is refused, puts the questions that tell the causes apart."""
    answer = authorization.answer if target.reference is None else manifest.answer if manifest else None
    if answer is None or answer.status not in (400, 401, 403, 414, 431):
        raise NotApplicable("nothing was refused")
    refused = challenges.parse_challenges(answer.all_headers("www-authenticate"))
    seen = Refusal(answer=answer, challenges=refused)
    if authorization.header is None:
        return _with_login(seen, endpoint, target, credentials, context) if answer.status == 401 else seen
    if authorization.kind == "basic" and answer.status in (401, 403):
        if target.reference is not None:
            seen = _with_root(seen, endpoint, authorization.header, context)
        return _with_direct(seen, authorization.header, config, context) if answer.status == 401 else seen
    if authorization.kind == "bearer" and answer.status == 401 and seen.error is None:
        seen = _with_malformed(seen, endpoint, target, context)
    if (
        target.repository is not None
        and service is not None
        and exchange is not None
        and exchange.token is not None
        and answer.status in (401, 403)
        and seen.error in (None, "insufficient_scope")
    ):
        seen = _with_wider(seen, target.repository, service, credentials, context)
    return seen


def _with_login(
    seen: Refusal, endpoint: Endpoint, target: Target, credentials: Credentials, context: Context
) -> Refusal:
    """Answers the challenge of an image behind an open ``/v2/``, as containerd does and docker does not."""
    from msgspec.structs import replace

    asked = _challenges(seen.answer, seen.answer, repository=None)
    exchange = None
    try:
        if asked.of("bearer") is not None:
            service = _token_service(endpoint, asked, context)
            if service.host is not None and credentials.kind is not CredentialKind.REGISTRY_TOKEN:
                exchange = ask_for_token(service, credentials, _pull_scope(target), context)
            header = _bearer_header(endpoint, credentials, exchange)
        else:
            header = _basic_header(endpoint, credentials)
    except Blocked:
        return replace(seen, login=exchange)
    context.conceal(header)
    if not context.http.may_carry_credentials(endpoint.url):
        return seen
    url = f"{endpoint.url}/v2/{target.repository}/tags/list"
    response = context.http.request("GET", url, authorization=header, proxy=endpoint.proxy)
    after = None if isinstance(response, Failure) else response.answer
    return replace(seen, login=exchange, after_login=after)


def _with_root(seen: Refusal, endpoint: Endpoint, header: Secret, context: Context) -> Refusal:
    from msgspec.structs import replace

    response = context.http.request("GET", endpoint.url + "/v2/", authorization=header, proxy=endpoint.proxy)
    return seen if isinstance(response, Failure) else replace(seen, at_root=response.answer)


def _with_direct(seen: Refusal, header: Secret, config: ConfigFile | None, context: Context) -> Refusal:
    """The same login past the proxy: at the loopback port on which the registry's configuration lets it listen.

    The password is sent there only where the same product asks for a login of the same realm.
    """
    from msgspec.structs import replace

    url = direct_url(config) if config is not None else None
    if url is None or not context.http.may_carry_credentials(url):
        return seen
    look = context.http.request("GET", url)
    if isinstance(look, Failure) or look.answer.header("docker-distribution-api-version") is None:
        return seen
    there = challenges.parse_challenges(look.answer.all_headers("www-authenticate"))
    realms = {each.realm for each in seen.challenges if each.scheme == "basic"}
    if look.answer.status != 401 or not any(
        each.scheme == "basic" and each.realm in realms for each in there
    ):
        return seen
    response = context.http.request("GET", url, authorization=header)
    return seen if isinstance(response, Failure) else replace(seen, direct=response.answer)


def direct_url(config: ConfigFile) -> str | None:
    """``/v2/`` of a registry on this host that listens without TLS; None for any other."""
    address = config.text("http", "addr")
    if address is None or config.text("http", "tls", "certificate") is not None:
        return None
    host, _, port = address.rpartition(":")
    loopback = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"http://{loopback}:{port}/v2/" if port.isdecimal() else None


def _with_malformed(seen: Refusal, endpoint: Endpoint, target: Target, context: Context) -> Refusal:
    """The same request without a token, and with one that is none and so needs no protection."""
    from msgspec.structs import replace

    url = f"{endpoint.url}/v2/{target.repository or _random_name()}/tags/list"
    anonymous = context.http.request("GET", url, proxy=endpoint.proxy)
    malformed = context.http.request(
        "GET", url, headers=[("Authorization", "Bearer regdoctor")], proxy=endpoint.proxy
    )
    if isinstance(anonymous, Failure) or isinstance(malformed, Failure):
        return seen
    return replace(
        seen,
        anonymous=anonymous.answer,
        malformed=malformed.answer,
        malformed_challenges=challenges.parse_challenges(malformed.answer.all_headers("www-authenticate")),
    )


def _with_wider(
    seen: Refusal, repository: str, service: TokenService, credentials: Credentials, context: Context
) -> Refusal:
    """A token for more actions, and for a name that nobody has beside the wanted one.

    A server that grants something else on the repository knows it; one that grants the made-up name keeps
    the wanted one back on purpose. Asking for a token changes nothing.
    """
    from msgspec.structs import replace

    parent, slash, _name = repository.rpartition("/")
    control = f"{parent}{slash}{_random_name()}"
    wanted = (scopes.repository_scope(repository, "pull", "push"), scopes.repository_scope(control, "pull"))
    return replace(seen, wider=ask_for_token(service, credentials, wanted, context), control=control)


@probe
def tell_permissions(
    endpoint: Endpoint,
    target: Target,
    asked: Challenges,
    credentials: Credentials,
    service: TokenService | None,
    exchange: TokenExchange | None,
    authorization: PullAuthorization | None,
    manifest: ManifestLook | None,
    session: UploadSession | None,
    product: Product | None,
    context: Context,
) -> Permissions:
    """Tells who may pull, push, delete and list repositories: anonymous clients, and the account that was found.

    Tokens are asked for all of it, which changes nothing; what an upload has shown is taken from there.
    """
    asker = Asker(
        endpoint=endpoint,
        target=target,
        asked=asked,
        service=service,
        product=product,
        manifest=manifest,
        session=session,
        authorization=authorization,
        context=context,
    )
    anonymous, account = asker.both(credentials, exchange)
    return Permissions(
        repository=target.repository,
        anonymous=anonymous,
        account=account,
        account_name=credentials.username,
    )


@probe
def read_configuration(config: ConfigFile, environment: RegistryEnvironment | None) -> TokenSettings:
    """Takes what concerns tokens out of the registry's own configuration, where the caller has it."""
    variables = token_settings.read_variables(Path(environment.path)) if environment is not None else {}
    settings = token_settings.token_settings(config, variables)
    if settings is None:
        raise NotApplicable(f"{config.path} sets up no token server")
    return settings


@probe
def read_htpasswd(files: ConfiguredFiles | None, context: Context) -> HtpasswdFile:
    """Reads the htpasswd file that the registry's configuration names."""
    given = context.options.htpasswd
    if given is not None:
        return htpasswd.read_htpasswd(given)
    file = files.of("auth", "htpasswd", "path") if files is not None else None
    if file is None or file.state is not FileState.USABLE:
        raise NotApplicable("no configuration names an htpasswd file that is here (--config)")
    return htpasswd.read_htpasswd(Path(file.found_at), named_by="auth.htpasswd.path")


@probe
def read_pull_secrets(context: Context) -> KubernetesObjects:
    """Reads Kubernetes manifests: pull secrets, and what pulls images with them."""
    path = context.options.pull_secret
    if path is None:
        raise NotApplicable("no pull secret is given (--pull-secret)")
    own = _manifests(path, context)
    others = [_manifests(each, context) for each in context.options.beside]
    return KubernetesObjects(
        path=str(path),
        flaws=tuple(own.flaws),
        secrets=tuple(own.secrets),
        pods=tuple(own.pods),
        accounts=tuple(own.accounts),
        beside=tuple(secret for each in others for secret in each.secrets),
        other_secrets=tuple(name for each in (own, *others) for name in each.other_secrets),
    )


def _manifests(path: Path, context: Context) -> kubernetes.Manifests:
    """What a file holds; each is read once a run, however many files are judged beside it."""
    key = f"manifests {path}"
    with context.lock:
        kept = context.shared.get(key)
        if not isinstance(kept, kubernetes.Manifests):
            kept = kubernetes.read_manifests(path)
            context.shared[key] = kept
    for secret in kept.concealed:
        context.conceal(secret)
    return kept
