"""What stands against a request beside rights, by the words of the products."""

from __future__ import annotations

import pytest

from regdoctor.oci.refusals import Reason, reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The system is in read only mode. Any modification is prohibited.", Reason.READ_ONLY),
        ("can not push artifact to a proxy project: mirror", Reason.CACHE),
        ("adding 1 MiB of storage resource will exceed the configured upper limit of 1.0 MiB", Reason.QUOTA),
        ("registry contains 1 repositories, limit is 1", Reason.QUOTA),
        ("The repository has enabled tag immutability", Reason.IMMUTABLE),
        ("current image with 3 vulnerabilities cannot be pulled due to configured policy", Reason.POLICY),
    ],
)
def test_words_of_products_name_the_reason(text: str, expected: Reason) -> None:
    assert reason(text) is expected
    assert reason(text.upper()) is expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "requested access to the resource is denied",
        "your account has read-only access to this repository",
        "unauthorized to access repository: team/app, action: push",
        "permission_denied: write_package",
        "the policy of your organisation wants two-factor authentication",
        "Permission 'artifactregistry.repositories.uploadArtifacts' denied on resource (or it may not exist)",
    ],
)
def test_lacking_rights_are_none_of_these(text: str) -> None:
    assert reason(text) is None
