"""The shared vocabulary of facts: what probes saw, free of judgement.

A fact is frozen and serialisable. A plain :class:`Fact` is about the target; an :class:`EndpointFact` is
about one host on the way (the registry, its token server, a blob host, a proxy, a mirror, an upstream)
and exists once for each of them.
"""

from regdoctor.facts.base import (
    Discovery,
    Endpoint,
    EndpointFact,
    Fact,
    Failure,
    FailureKind,
    Moment,
    Role,
    Settings,
    fact_name,
)
from regdoctor.facts.dns import (
    Addresses,
    HostsEntry,
    HostsFile,
    NameserverAnswer,
    NameserverAnswers,
    ResolverConfiguration,
)
from regdoctor.facts.http import Answer, Ping, Producer, ProducerKind
from regdoctor.facts.image import (
    BlobHosts,
    BlobLook,
    Blobs,
    ChildLook,
    Descriptor,
    IndexChildren,
    ManifestContent,
    ManifestLook,
    Repositories,
    Tags,
)
from regdoctor.facts.tcp import ConnectionAttempt, Connections
from regdoctor.facts.tls import (
    Handshake,
    Handshakes,
    IssuerLookup,
    MissingIssuers,
    PlainPort,
    ServedCertificate,
    TrustContext,
    Verification,
    VerificationError,
)

__all__ = [
    "Addresses",
    "Answer",
    "BlobHosts",
    "BlobLook",
    "Blobs",
    "ChildLook",
    "ConnectionAttempt",
    "Connections",
    "Descriptor",
    "Discovery",
    "Endpoint",
    "EndpointFact",
    "Fact",
    "Failure",
    "FailureKind",
    "Handshake",
    "Handshakes",
    "HostsEntry",
    "HostsFile",
    "IndexChildren",
    "IssuerLookup",
    "ManifestContent",
    "ManifestLook",
    "MissingIssuers",
    "Moment",
    "NameserverAnswer",
    "NameserverAnswers",
    "Ping",
    "PlainPort",
    "Producer",
    "ProducerKind",
    "Repositories",
    "ResolverConfiguration",
    "Role",
    "ServedCertificate",
    "Settings",
    "Tags",
    "TrustContext",
    "Verification",
    "VerificationError",
    "fact_name",
]
