"""What is made of the steps of an upload: facts in, findings out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from regdoctor.api import Draft, Each, Endpoint, FailureKind, Location, Severity, failures
from regdoctor.checks.push import reading, rules
from regdoctor.facts import (
    Answer,
    FurtherSession,
    ManifestPush,
    PolicyRefusal,
    SizeTrial,
    SlowUpload,
    SlowUploads,
    UploadSession,
    UploadSizes,
    UploadStep,
)
from tests.support.facts import REGISTRY_HEADERS, answer, endpoint, registry_error

REGISTRY = endpoint()
REGISTRIES: Each[Endpoint] = Each({REGISTRY: REGISTRY})
ROOT = "https://reg.test/v2/team/app"
UPLOAD = f"{ROOT}/blobs/uploads/0b3a?_state=***"
SAME = Location(url=UPLOAD, has_state=True)
PAGE = "<html><head><title>{0} Refused</title></head><body><h1>{0} Refused</h1></body></html>"
NGINX = {"Server": "nginx/1.22.1", "Content-Type": "text/html"}
MB = 1_000_000


def step(made: Answer, *, seconds: float = 0.01, sent: int = 0) -> UploadStep:
    return UploadStep(method=made.method, answer=made, seconds=seconds, sent=sent)


def good(method: str, status: int = 202, *, seconds: float = 0.01) -> UploadStep:
    """A step as distribution answers it."""
    made = answer(status, headers=REGISTRY_HEADERS, method=method, url=UPLOAD)
    return step(made, seconds=seconds)


def bad(method: str, status: int, code: str, **more: Any) -> UploadStep:
    """A step that distribution refuses."""
    return step(registry_error(status, code, method=method, url=UPLOAD, **more))


def by_nginx(method: str, status: int, *, seconds: float = 0.01, sent: int = 0) -> UploadStep:
    """A step that nginx refuses."""
    made = answer(status, PAGE.format(status), NGINX, method=method, url=UPLOAD)
    return step(made, seconds=seconds, sent=sent)


def broken(
    seconds: float, kind: FailureKind = FailureKind.CONNECTION_CLOSED, *, method: str = "PATCH", sent: int = 0
) -> UploadStep:
    failure = failures.make_failure(kind, "reg.test:443")
    return UploadStep(method=method, answer=None, failure=failure, seconds=seconds, sent=sent)


def session(**changes: Any) -> UploadSession:
    """An upload that went well, with changes."""
    seen: dict[str, Any] = {
        "repository": "team/app",
        "own_repository": False,
        "authorization": "none",
        "start": good("POST"),
        "location": SAME,
        "statuses": (good("GET", 204),) * 3,
        "chunk": good("PATCH"),
        "commit": good("PUT", 201),
        "look": good("HEAD", 200),
        "deletion": good("DELETE", 202),
    }
    return UploadSession(**(seen | changes))


def refused_at(name: str, refused: UploadStep | None, **changes: Any) -> UploadSession:
    """An upload that ended at a step."""
    names = ("chunk", "commit", "look", "deletion")
    after = names if name == "start" else names[names.index(name) + 1 :]
    without = {"location": None, "statuses": ()} if name == "start" else {}
    return session(**(dict.fromkeys(after) | without | {name: refused} | changes))


def sizes(*trials: tuple[int, UploadStep], announced: bool = False) -> UploadSizes:
    return UploadSizes(
        trials=tuple(SizeTrial(size=size, announced=announced, step=each) for size, each in trials)
    )


def slow(made: UploadStep, *, whole: bool = False, planned: float = 8.0) -> SlowUpload:
    return SlowUpload(start=good("POST"), step=made, planned=planned, pause=0.25, whole=whole)


WHOLE = slow(good("PATCH", seconds=8.0), whole=True)


def judged(
    upload: UploadSession | None = None,
    *,
    trials: UploadSizes | None = None,
    pace: SlowUploads | None = None,
    pushed: ManifestPush | None = None,
) -> list[Draft]:
    """All findings about an upload, those of every rule."""

    def drafts() -> Iterator[Draft]:
        seen = upload or session()
        yield from rules.writes_refused(seen, pushed, REGISTRIES)
        yield from rules.location(seen, REGISTRIES)
        yield from rules.redirected(seen, REGISTRIES)
        yield from rules.methods(seen, None, REGISTRIES, None)
        yield from rules.path(seen, REGISTRIES, None)
        yield from rules.lost_sessions(seen, REGISTRIES)
        yield from rules.lost_blob(seen, REGISTRIES)
        yield from rules.storage(seen, trials, pushed, REGISTRIES)
        yield from rules.body_size(seen, trials, REGISTRIES)
        if pace is not None:
            yield from rules.cut_off(seen, pace, REGISTRIES)
            yield from rules.ended_unseen(seen, pace, REGISTRIES)
        if trials is not None:
            yield from rules.broken_off(seen, trials, REGISTRIES)
        yield from rules.refused_by_rule(seen, trials, pushed, REGISTRIES)
        yield from rules.commit(seen, REGISTRIES)

    return list(drafts())


def codes(*arguments: Any, **keywords: Any) -> list[str]:
    return [draft.code for draft in judged(*arguments, **keywords)]


def single(*arguments: Any, **keywords: Any) -> Draft:
    """The only finding."""
    (draft,) = judged(*arguments, **keywords)
    return draft


class TestHealthy:
    def test_an_upload_that_goes_well_is_no_finding(self) -> None:
        trials = sizes((1_500_000, good("PATCH")), (6_000_000, good("PATCH")))
        pushed = ManifestPush(reference="team/app:1.0", again=good("PUT", 201))

        assert judged(trials=trials, pace=SlowUploads(steady=WHOLE, pausing=WHOLE), pushed=pushed) == []

    def test_a_product_that_does_not_tell_the_status_of_uploads_is_healthy(self) -> None:
        """End-13 is optional: what counts is that the upload comes to its end."""
        for status in (404, 405):
            assert judged(session(statuses=(bad("GET", status, "UNSUPPORTED"),) * 3)) == []
        assert judged(session(statuses=(bad("GET", 404, "BLOB_UPLOAD_UNKNOWN"),) * 3)) == []

    def test_a_registry_that_answers_a_chunk_with_201_is_healthy(self) -> None:
        """Amazon ECR does."""
        assert judged(session(chunk=good("PATCH", 201))) == []

    def test_a_blob_that_is_served_by_another_host_is_there(self) -> None:
        assert judged(session(look=good("HEAD", 307))) == []

    def test_a_registry_that_deletes_nothing_is_no_finding(self) -> None:
        assert judged(session(deletion=bad("DELETE", 405, "UNSUPPORTED"))) == []

    @pytest.mark.parametrize(("status", "code"), [(401, "UNAUTHORIZED"), (403, "DENIED")])
    def test_a_lack_of_rights_is_left_to_those_who_judge_rights(self, status: int, code: str) -> None:
        assert judged(refused_at("start", bad("POST", status, code))) == []

    def test_a_repository_that_must_be_created_first_is_left_to_others(self) -> None:
        assert judged(refused_at("start", bad("POST", 404, "NAME_UNKNOWN"))) == []

    def test_a_changed_path_that_works_is_healthy(self) -> None:
        """Google Artifact Registry goes on elsewhere on the same host."""
        elsewhere = Location(url="https://reg.test/artifacts-uploads/x", path_changed=True)

        assert judged(session(location=elsewhere)) == []


class TestLocation:
    def test_http_instead_of_https_is_the_scheme(self) -> None:
        given = Location(url=UPLOAD.replace("https", "http"), scheme_changed=True)
        there = by_nginx("GET", 400)
        draft = single(
            refused_at("chunk", None, location=given, elsewhere=there, forwarded=SAME, statuses=())
        )

        assert draft.code == "push/location-scheme"
        assert "http://reg.test" in draft.detail
        assert "comes out right" in draft.detail
        assert draft.fix == ()

    def test_a_lost_port_is_the_host_even_where_the_scheme_is_wrong_too(self) -> None:
        given = Location(url="http://reg.test/v2/x", scheme_changed=True, port_changed=True)
        draft = single(refused_at("chunk", None, location=given, statuses=()))

        assert draft.code == "push/location-host"
        assert "another scheme and another port" in draft.detail

    def test_the_same_place_whatever_the_request_says_is_a_setting(self) -> None:
        given = Location(url="https://old.test/v2/x", host_changed=True)
        draft = single(refused_at("chunk", None, location=given, forwarded=given, statuses=()))

        assert "http.host is set" in draft.detail
        assert "http.host" in draft.fix[0]

    def test_another_name_that_answers_is_no_fault_without_credentials(self) -> None:
        given = Location(url="https://other.test/v2/x", host_changed=True)

        assert codes(session(location=given, elsewhere=good("GET", 204))) == []

    @pytest.mark.parametrize("kind", ["basic", "bearer"])
    def test_another_name_that_answers_is_a_fault_with_credentials(self, kind: str) -> None:
        given = Location(url="https://other.test/v2/x", host_changed=True)
        seen = refused_at(
            "chunk",
            None,
            location=given,
            elsewhere=good("GET", 204),
            authorization=kind,
            statuses=(),
        )

        assert "docker has no credentials" in single(seen).detail

    def test_no_location_at_all_is_named(self) -> None:
        missing = Location(problem="the answer has no Location")
        draft = single(refused_at("chunk", None, location=missing, statuses=()))

        assert draft.code == "push/location-host"
        assert "no Location" in draft.detail


class TestMethods:
    def test_a_blocked_method_is_named_with_its_hop(self) -> None:
        tried = (bad("HEAD", 404, "BLOB_UNKNOWN"), by_nginx("PATCH", 403), by_nginx("PUT", 403))
        draft = single(refused_at("chunk", by_nginx("PATCH", 403), methods=tried))

        assert draft.code == "push/method-blocked"
        assert draft.certainty == "proven"
        assert "by nginx" in draft.detail
        assert "Refused: PATCH, PUT; let through: POST, HEAD" in draft.detail

    def test_delete_alone_is_worth_a_word_only(self) -> None:
        draft = single(session(deletion=by_nginx("DELETE", 405)))

        assert draft.severity is Severity.INFO

    def test_a_refusal_of_the_registry_itself_is_no_block(self) -> None:
        assert codes(refused_at("chunk", bad("PATCH", 403, "DENIED"))) == []

    def test_a_refusal_that_nobody_signs_is_no_block(self) -> None:
        """Products answer 403 in words of their own, without any header that names them."""
        unsigned = step(answer(403, "no push for you", method="POST", url=UPLOAD))

        assert codes(refused_at("start", unsigned)) == []

    @pytest.mark.parametrize("status", [413, 429, 502])
    def test_other_answers_of_a_hop_are_no_block(self, status: int) -> None:
        assert "push/method-blocked" not in codes(refused_at("chunk", by_nginx("PATCH", status)))

    def test_a_404_of_another_server_beside_looks_that_the_registry_answers_is_one(self) -> None:
        """A router that chooses by the method: Traefik's answer, which names nobody."""
        lost = step(answer(404, "404 page not found\n", method="PATCH", url=UPLOAD))
        draft = single(refused_at("chunk", lost))

        assert draft.code == "push/method-blocked"
        assert draft.certainty == "likely"

    def test_a_404_of_another_server_alone_is_none(self) -> None:
        lost = step(answer(404, "404 page not found\n", method="PATCH", url=UPLOAD))

        assert "push/method-blocked" not in codes(refused_at("chunk", lost, statuses=()))


class TestRedirected:
    """The request that begins an upload is sent to another origin."""

    ASKED = "http://reg.test:5000/v2/team/app/blobs/uploads/"

    def sent_to(self, url: str, status: int = 302) -> list[Draft]:
        made = answer(status, "", {"Location": url, "Server": "Caddy"}, method="POST", url=self.ASKED)
        return judged(refused_at("start", step(made)))

    def test_to_https_with_get(self) -> None:
        (draft,) = self.sent_to("https://reg.test:5001/v2/team/app/blobs/uploads/")

        assert draft.code == "push/location-scheme"
        assert "Clients go there with GET" in draft.detail
        assert "https://reg.test:5001" in draft.fix[0]

    def test_to_another_host(self) -> None:
        (draft,) = self.sent_to("http://other.test/v2/team/app/blobs/uploads/", 307)

        assert draft.code == "push/location-host"

    def test_to_another_port_with_the_same_method(self) -> None:
        assert self.sent_to("http://reg.test:5001/v2/team/app/blobs/uploads/", 308) == []


class TestPath:
    def redirect(self, to: str) -> UploadStep:
        asked = f"{ROOT}/blobs/uploads/"
        return step(answer(301, "", {"Location": to}, method="POST", url=asked))

    @pytest.mark.parametrize("to", ["/v2/team/app/blobs/uploads/", f"{ROOT}/blobs/uploads/"])
    def test_a_redirect_to_the_same_address_is_a_lost_slash(self, to: str) -> None:
        draft = single(refused_at("start", self.redirect(to)))

        assert draft.code == "push/path-rewritten"
        assert draft.certainty == "proven"

    def test_a_redirect_elsewhere_is_not(self) -> None:
        assert codes(refused_at("start", self.redirect("https://login.test/"))) == []

    def test_a_bare_404_of_the_registry_means_another_path(self) -> None:
        bare = step(answer(404, "404 page not found\n", REGISTRY_HEADERS, method="POST", url=UPLOAD))

        assert single(refused_at("start", bare)).code == "push/path-rewritten"

    def test_a_bare_404_for_a_made_up_name_says_nothing(self) -> None:
        bare = by_nginx("POST", 404)

        assert codes(refused_at("start", bare, own_repository=True)) == []
        assert codes(refused_at("start", bare)) == ["push/path-rewritten"]

    def test_a_path_that_is_changed_on_the_way_in_alone_is_named(self) -> None:
        given = Location(url=UPLOAD.replace("team/app", "group/team/app"), path_changed=True)
        lost = bad("GET", 404, "BLOB_UPLOAD_INVALID")
        seen = refused_at(
            "chunk", bad("PATCH", 404, "BLOB_UPLOAD_INVALID"), location=given, statuses=(lost,) * 3
        )
        draft = single(seen)

        assert draft.code == "push/path-rewritten"
        assert "/v2/group/team/app" in draft.detail

    def test_a_query_that_never_arrives_is_likely_the_path(self) -> None:
        lost = bad("GET", 404, "BLOB_UPLOAD_INVALID", detail={})
        seen = refused_at(
            "chunk",
            bad("PATCH", 404, "BLOB_UPLOAD_INVALID", detail={}),
            statuses=(lost,) * 3,
            further=(FurtherSession(start=good("POST"), statuses=(lost,)),) * 6,
        )
        draft = single(seen)

        assert draft.code == "push/path-rewritten"
        assert draft.certainty == "likely"
        assert "secrets" in draft.detail


class TestReplicas:
    found, unknown = good("GET", 204), bad("GET", 404, "BLOB_UPLOAD_UNKNOWN")
    invalid = bad("GET", 404, "BLOB_UPLOAD_INVALID", detail={})

    def test_an_unknown_upload_now_and_then_is_storage_that_is_not_shared(self) -> None:
        lost = bad("PATCH", 404, "BLOB_UPLOAD_UNKNOWN")
        draft = single(refused_at("chunk", lost, statuses=(self.unknown, self.found, self.unknown)))

        assert draft.code == "push/upload-lost"
        assert draft.certainty == "proven"

    def test_it_is_so_even_where_the_upload_happened_to_succeed(self) -> None:
        assert codes(session(statuses=(self.unknown, self.found, self.found))) == ["push/upload-lost"]

    def test_an_invalid_upload_now_and_then_is_another_secret(self) -> None:
        draft = single(session(statuses=(self.invalid, self.found, self.invalid)))

        assert draft.code == "push/upload-secret-mismatch"
        assert draft.certainty == "proven"

    def test_sessions_of_which_some_are_accepted_are_another_secret_too(self) -> None:
        seen = refused_at(
            "chunk",
            bad("PATCH", 404, "BLOB_UPLOAD_INVALID", detail={}),
            statuses=(self.invalid,) * 3,
            further=(
                FurtherSession(start=good("POST"), statuses=(self.invalid,)),
                FurtherSession(start=good("POST"), statuses=(self.found,)),
            ),
        )

        assert codes(seen) == ["push/upload-secret-mismatch"]

    def test_a_signature_that_is_refused_at_the_chunk_alone_is_likely_another_secret(self) -> None:
        draft = single(refused_at("chunk", bad("PATCH", 404, "BLOB_UPLOAD_INVALID", detail={})))

        assert draft.code == "push/upload-secret-mismatch"
        assert draft.certainty == "likely"

    def test_bytes_that_the_registry_took_and_lost_are_its_storage(self) -> None:
        """Without a detail the state was verified, and something else does not fit: tmpfs without inodes."""
        draft = single(refused_at("commit", bad("PUT", 404, "BLOB_UPLOAD_INVALID")))

        assert draft.code == "push/storage-failure"
        assert draft.certainty == "likely"
        assert "df -i" in draft.fix[0]

    def test_uploads_that_are_never_known_are_likely_lost(self) -> None:
        seen = refused_at("chunk", bad("PATCH", 404, "BLOB_UPLOAD_UNKNOWN"), statuses=(self.unknown,) * 3)
        draft = single(seen)

        assert draft.code == "push/upload-lost"
        assert draft.certainty == "likely"

    def test_a_blob_that_is_gone_at_once_is_likely_on_another_replica(self) -> None:
        draft = single(session(look=bad("HEAD", 404, "BLOB_UNKNOWN")))

        assert draft.code == "push/upload-lost"


class TestRefusals:
    def test_maintenance_mode_is_read_only(self) -> None:
        headers = {**REGISTRY_HEADERS, "Allow": "GET, HEAD", "Content-Type": "text/plain"}
        refused = step(answer(405, "Method not allowed\n", headers, method="POST", url=UPLOAD))
        draft = single(refused_at("start", refused))

        assert (draft.code, draft.certainty) == ("push/read-only", "proven")

    def test_405_of_a_hop_is_not(self) -> None:
        assert codes(refused_at("start", by_nginx("POST", 405))) == ["push/method-blocked"]

    def test_unsupported_at_the_start_is_a_cache(self) -> None:
        draft = single(refused_at("start", bad("POST", 405, "UNSUPPORTED")))

        assert (draft.code, draft.certainty) == ("push/unsupported-cache", "proven")

    def test_unsupported_later_is_not(self) -> None:
        assert codes(refused_at("chunk", bad("PATCH", 405, "UNSUPPORTED"))) == []

    @pytest.mark.parametrize(
        ("status", "message", "code"),
        [
            (403, "The system is in read only mode. Any modification is prohibited.", "push/read-only"),
            (405, "System is currently read-only. Pulls will succeed.", "push/read-only"),
            (403, "can not push artifact to a proxy project: mirror", "push/unsupported-cache"),
            (
                403,
                "adding 29.0 MiB of storage resource, which when updated to current usage of 152.4 MiB will "
                "exceed the configured upper limit of 10.0 MiB.",
                "push/quota-exceeded",
            ),
            (403, "Quota has been exceeded on namespace", "push/quota-exceeded"),
            (
                400,
                "The image tag 'v1' already exists in the 'x' repository and cannot be overwritten because the "
                "repository is immutable.",
                "push/immutable-tag",
            ),
            (412, "Failed to process request due to 'x:v1' configured as immutable.", "push/immutable-tag"),
            (412, "The image is not signed.", "push/policy-blocked"),
            (403, "current image with 2 vulnerabilities cannot be pushed", "push/policy-blocked"),
            (403, "registry does not allow image manifest", "push/policy-blocked"),
            # Google, Azure, GitLab, Nexus, Artifactory, DigitalOcean
            (400, "The repository has enabled tag immutability", "push/immutable-tag"),
            (400, "Repository does not allow updating assets: docker-hosted", "push/immutable-tag"),
            (409, "tag 1.0 is immutable and cannot be overwritten", "push/immutable-tag"),
            (
                403,
                "Your action has been rejected because the namespace storage limit has been reached.",
                "push/quota-exceeded",
            ),
            (403, "registry contains 1 repositories, limit is 1", "push/quota-exceeded"),
            (403, "Forbidden: Datastore disk usage is too high.", "push/quota-exceeded"),
            (403, "Storage quota limit has been reached for this registry.", "push/quota-exceeded"),
            (
                405,
                "The operation is disallowed on this registry, repository or image.",
                "push/policy-blocked",
            ),
            (
                403,
                "not downloaded due to the download blocking policy configured in Xray",
                "push/policy-blocked",
            ),
            (403, "the component is quarantined", "push/policy-blocked"),
            (
                409,
                "The repository 'docker-local' rejected the deployment of an artifact due to conflict with its "
                "include/exclude patterns",
                "push/policy-blocked",
            ),
            (403, "Cannot push to remote repository 'docker-remote'", "push/unsupported-cache"),
            (400, "uploads are not allowed to remote repositories", "push/unsupported-cache"),
        ],
    )
    def test_the_words_of_products_are_known(self, status: int, message: str, code: str) -> None:
        body = {"errors": [{"code": "DENIED", "message": message}]}
        refused = step(answer(status, body, method="PUT", url=f"{ROOT}/manifests/1.0"))
        draft = single(pushed=ManifestPush(reference="team/app:1.0", again=refused))

        assert draft.code == code
        assert message in draft.detail

    @pytest.mark.parametrize(
        "message",
        [
            "requested access to the resource is denied",
            "your account has read-only access to this repository",
            "unauthorized to access repository: team/app, action: push",
            "denied: permission_denied: write_package",
            "the policy of your organisation wants two-factor authentication",
        ],
    )
    def test_other_denials_are_none_of_these(self, message: str) -> None:
        body = {"errors": [{"code": "DENIED", "message": message}]}
        refused = step(answer(403, body, method="PUT", url=f"{ROOT}/manifests/1.0"))

        assert codes(pushed=ManifestPush(reference="team/app:1.0", again=refused)) == []

    def test_a_manifest_that_may_not_be_looked_at_is_a_policy(self) -> None:
        seen = registry_error(412, "PROJECTPOLICYVIOLATION", url=f"{ROOT}/manifests/1.0")
        (draft,) = rules.look_refused(PolicyRefusal(answer=seen), REGISTRIES)

        assert draft.code == "push/policy-blocked"


class TestStorage:
    @pytest.mark.parametrize(
        ("detail", "words"),
        [
            ({"DriverName": "filesystem", "Enclosed": {"Op": "mkdir", "Err": 13}}, "may not write"),
            ({"DriverName": "filesystem", "Enclosed": {"Op": "mkdir", "Err": 30}}, "read-only"),
            ({"DriverName": "filesystem", "Enclosed": {"Op": "write", "Err": 28}}, "full"),
            ({"DriverName": "filesystem", "Enclosed": {"Op": "write", "Err": 122}}, "quota"),
            ("write /var/lib/registry/data: no space left on device", "full"),
            ("filesystem: mkdir /var/lib/registry/docker: permission denied", "may not write"),
            ("s3aws: AccessDenied: Access Denied status code: 403", "object store"),
        ],
    )
    def test_the_detail_of_a_500_names_the_cause(self, detail: object, words: str) -> None:
        draft = single(refused_at("start", bad("POST", 500, "UNKNOWN", detail=detail)))

        assert draft.code == "push/storage-failure"
        assert draft.certainty == "proven"
        assert words in draft.detail

    def test_a_500_without_detail_is_likely_the_storage(self) -> None:
        draft = single(refused_at("commit", bad("PUT", 500, "UNKNOWN")))

        assert draft.certainty == "likely"
        assert "its log does" in draft.detail

    def test_a_500_to_a_large_body_alone_says_so(self) -> None:
        full = bad("PATCH", 500, "UNKNOWN", detail="write x: no space left on device")
        draft = single(trials=sizes((1_500_000, full)))

        assert "1.5 MB were not" in draft.detail

    @pytest.mark.parametrize("status", [500, 502, 503, 504])
    def test_errors_of_a_hop_are_not_the_storage(self, status: int) -> None:
        assert codes(refused_at("chunk", by_nginx("PATCH", status))) == []

    def test_a_header_that_was_changed_on_the_way_is_not_the_storage(self) -> None:
        assert codes(refused_at("chunk", bad("PATCH", 500, "UNKNOWN", detail="bad Content-Type"))) == []


class TestSizes:
    def test_the_smallest_refused_and_the_largest_passed_are_named(self) -> None:
        passed, refused = bad("PATCH", 404, "BLOB_UPLOAD_INVALID"), by_nginx("PATCH", 413)
        trials = sizes(
            (10 * 1024**3, refused), (64 * 1024**2, passed), (100 * MB, passed), (128 * 1024**2, refused),
            announced=True,
        )  # fmt: skip
        draft = single(trials=trials)

        assert draft.code == "push/body-too-large"
        assert draft.severity is None
        assert "128 MiB are refused, 100 MB pass" in draft.detail

    @pytest.mark.parametrize(
        ("size", "severity"),
        [
            (2 * 1024**2, None),
            (256 * 1024**2, None),
            (500 * MB, Severity.WARNING),
            (2 * 1024**3, Severity.INFO),
        ],
    )
    def test_a_generous_limit_is_worth_a_word_only(self, size: int, severity: Severity | None) -> None:
        assert single(trials=sizes((size, by_nginx("PATCH", 413)))).severity is severity

    def test_the_remedy_is_that_of_the_hop(self) -> None:
        headers = {"Server": "cloudflare", "CF-Ray": "8f-FRA", "Content-Type": "text/html"}
        refused = step(answer(413, PAGE.format(413), headers, method="PATCH", url=UPLOAD))
        draft = single(trials=sizes((128 * 1024**2, refused), announced=True))

        assert "DNS only" in draft.fix[0]
        assert "plan" in draft.detail

    def test_silence_to_an_announcement_is_no_refusal(self) -> None:
        silent = broken(1.0, FailureKind.RESPONSE_TIMEOUT)

        assert codes(trials=sizes((10 * 1024**3, silent), announced=True)) == []

    def test_another_refusal_of_a_large_body_by_a_hop_is_likely_its_size(self) -> None:
        """ModSecurity answers 403 to bodies that it does not want to look through."""
        draft = single(trials=sizes((1_500_000, by_nginx("PATCH", 403))))

        assert (draft.code, draft.certainty) == ("push/body-too-large", "likely")

    def test_even_a_tiny_body_may_be_too_large(self) -> None:
        assert codes(refused_at("chunk", by_nginx("PATCH", 413, sent=30))) == ["push/body-too-large"]

    def test_a_body_that_breaks_off_twice_is_cut_off(self) -> None:
        trials = sizes((6_000_000, broken(2.1, sent=3 * MB)), (6_000_000, broken(2.0, sent=3 * MB)))
        draft = single(trials=trials)

        assert (draft.code, draft.certainty) == ("push/cut-off", "likely")

    def test_a_body_that_breaks_off_once_is_nothing(self) -> None:
        trials = sizes((6_000_000, broken(2.1, sent=3 * MB)), (6_000_000, good("PATCH")))

        assert codes(trials=trials) == []


class TestTime:
    def pace(self, steady: SlowUpload, pausing: SlowUpload) -> SlowUploads:
        return SlowUploads(steady=steady, pausing=pausing)

    def test_both_ended_at_one_time_is_a_timer_on_the_whole_request(self) -> None:
        """Cuts by Traefik come back as 499 or 504 at random; only the time is constant."""
        seen = self.pace(
            slow(by_nginx("PATCH", 499, seconds=3.0, sent=24_000)),
            slow(by_nginx("PATCH", 504, seconds=3.02, sent=4_096)),
        )
        draft = single(pace=seen)

        assert (draft.code, draft.certainty) == ("push/cut-off", "proven")
        assert "both ended after 3.0 s" in draft.detail

    def test_a_connection_that_is_closed_counts_as_well(self) -> None:
        assert codes(pace=self.pace(slow(broken(5.0)), slow(broken(5.1)))) == ["push/cut-off"]

    def test_only_the_pausing_one_is_a_timer_for_silence(self) -> None:
        assert "silence" in single(pace=self.pace(WHOLE, slow(broken(1.0)))).detail

    def test_different_times_are_likely_only(self) -> None:
        assert single(pace=self.pace(slow(broken(5.0)), slow(broken(2.0)))).certainty == "likely"

    @pytest.mark.parametrize(
        "ended",
        [
            by_nginx("PATCH", 413, seconds=2.0),
            bad("PATCH", 404, "BLOB_UPLOAD_UNKNOWN"),
            broken(0.02),
            broken(8.0, FailureKind.RESPONSE_TIMEOUT),
            broken(2.0, FailureKind.DEADLINE),
        ],
    )
    def test_what_ends_for_another_reason_was_not_cut_off(self, ended: UploadStep) -> None:
        assert codes(pace=self.pace(slow(ended), slow(ended))) == []

    def test_an_answer_after_everything_was_sent_is_no_cut(self) -> None:
        late = slow(by_nginx("PATCH", 504, seconds=9.0), whole=True)

        assert codes(pace=self.pace(late, late)) == []

    def test_two_whole_uploads_that_a_hop_answers_badly_were_cut_behind_it(self) -> None:
        """A time-out of Caddy towards the registry shows only when the upload is done."""
        ended = slow(by_nginx("PATCH", 502, seconds=8.0), whole=True)

        assert codes(pace=self.pace(ended, ended)) == ["push/cut-off"]
        assert codes(pace=self.pace(ended, WHOLE)) == []

    def test_a_slow_commit_is_named(self) -> None:
        draft = single(session(commit=good("PUT", 201, seconds=7.0)))

        assert (draft.code, draft.certainty) == ("push/commit-slow", "likely")

    def test_a_commit_beyond_what_clients_wait_is_proven(self) -> None:
        silent = broken(32.0, FailureKind.RESPONSE_TIMEOUT, method="PUT")

        assert single(refused_at("commit", silent)).certainty == "proven"

    def test_a_line_on_which_everything_is_slow_is_not_the_commit(self) -> None:
        slow_line = session(chunk=good("PATCH", seconds=6.0), commit=good("PUT", 201, seconds=7.0))

        assert codes(slow_line) == []


class TestWords:
    @pytest.mark.parametrize(
        ("number", "text"),
        [
            (30, "30 bytes"),
            (1024, "1 KiB"),
            (1_500_000, "1.5 MB"),
            (1024**2, "1 MiB"),
            (100_000_000, "100 MB"),
            (10 * 1024**3, "10 GiB"),
            (1_048_577, "1.049 MB"),
        ],
    )
    def test_sizes_read_well(self, number: int, text: str) -> None:
        assert reading.size(number) == text

    def test_a_line_holds_no_ids_and_no_state(self) -> None:
        seen = answer(413, method="PATCH", url=f"{ROOT}/blobs/uploads/0b3a-11?_state=secret")

        assert reading.line(seen).startswith("PATCH /v2/team/app/blobs/uploads/… was answered 413")

    def test_a_page_is_quoted_by_its_title(self) -> None:
        assert reading.quoted(answer(413, PAGE.format(413), NGINX)) == " (“413 Refused”)"
