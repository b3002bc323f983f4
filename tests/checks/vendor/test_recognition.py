"""Which product answers: recorded answers in, products out."""

from __future__ import annotations

import pytest

from regdoctor.api import Product, Vendor, challenges
from regdoctor.checks.vendor import recognition
from tests.support.facts import REGISTRY_HEADERS, answer
from tests.support.vendors import RecordedAnswer, answers


def told(recorded: RecordedAnswer) -> Product:
    seen = answer(recorded.status, recorded.body, dict(recorded.headers))
    wanted = challenges.parse_challenges(seen.all_headers("www-authenticate"))
    return recognition.recognise(recorded.host, seen, wanted)


@pytest.mark.parametrize("recorded", answers(), ids=lambda each: f"{each.vendor}: {each.origin}")
def test_a_product_is_known_by_what_it_answers(recorded: RecordedAnswer) -> None:
    product = told(recorded)

    assert product.vendor == recorded.vendor
    assert product.version == recorded.version
    assert (product.why == "") == (product.vendor is None)


def test_every_product_has_a_recorded_answer() -> None:
    assert {recorded.vendor for recorded in answers()} >= {vendor.value for vendor in Vendor}


@pytest.mark.parametrize(
    ("host", "vendor"),
    [
        ("registry-1.docker.io", Vendor.DOCKER_HUB),
        ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", Vendor.ECR),
        ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Vendor.ECR),
        ("123456789012.dkr-ecr.eu-west-1.on.aws", Vendor.ECR),
        ("public.ecr.aws", Vendor.ECR_PUBLIC),
        ("contoso.azurecr.io", Vendor.ACR),
        ("europe-west1-docker.pkg.dev", Vendor.GOOGLE),
        ("eu.gcr.io", Vendor.GOOGLE),
        ("gcr.io", Vendor.GOOGLE),
        ("ghcr.io", Vendor.GHCR),
        ("quay.io", Vendor.QUAY),
        ("registry.gitlab.com", Vendor.GITLAB),
        ("contoso.jfrog.io", Vendor.ARTIFACTORY),
        ("nvcr.io", Vendor.NVIDIA),
    ],
)
def test_the_names_that_vendors_keep_to_themselves_need_no_answer(host: str, vendor: Vendor) -> None:
    assert recognition.recognise(host, None, ()).vendor is vendor


@pytest.mark.parametrize(
    "host",
    [
        "reg.test",
        "docker.io.reg.test",
        "notgcr.io",
        "quay.io.reg.test",
        "ghcr.io.reg.test",
        "my-ecr.amazonaws.com",
    ],
)
def test_names_that_only_sound_like_it_prove_nothing(host: str) -> None:
    assert recognition.recognise(host, None, ()).vendor is None


def test_a_registry_of_ones_own_with_a_realm_at_v2_token_is_no_gitea() -> None:
    plain = answer(
        401, "", {**REGISTRY_HEADERS, "Www-Authenticate": 'Bearer realm="https://reg.test/v2/token"'}
    )
    wanted = challenges.parse_challenges(plain.all_headers("www-authenticate"))

    assert recognition.recognise("reg.test", plain, wanted).vendor is Vendor.DISTRIBUTION


def test_a_proxy_in_front_does_not_hide_the_product() -> None:
    behind = answer(
        401,
        "",
        {
            "Server": "nginx",
            "Www-Authenticate": 'Bearer realm="https://harbor.test/service/token",service="harbor-registry"',
        },
    )
    wanted = challenges.parse_challenges(behind.all_headers("www-authenticate"))

    assert recognition.recognise("harbor.test", behind, wanted).vendor is Vendor.HARBOR
