"""How resolv.conf, the hosts file and nsswitch.conf are read."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regdoctor.net.resolver_files import (
    HostsLine,
    candidate_names,
    is_address,
    parse_hosts,
    parse_nsswitch,
    parse_resolv_conf,
    read_hosts,
    read_nsswitch,
    read_resolv_conf,
)


class TestResolvConf:
    def test_nameservers_in_order(self) -> None:
        found = parse_resolv_conf("nameserver 10.0.0.1\nnameserver fd00::1\nnameserver fe80::1%eth0\n")

        assert found.nameservers == ("10.0.0.1", "fd00::1", "fe80::1%eth0")

    def test_no_more_than_three_nameservers(self) -> None:
        text = "".join(f"nameserver 10.0.0.{number}\n" for number in range(1, 6))

        assert parse_resolv_conf(text).nameservers == ("10.0.0.1", "10.0.0.2", "10.0.0.3")

    def test_comments_and_what_is_no_address_are_passed_over(self) -> None:
        text = "# nameserver 10.0.0.1\n; nameserver 10.0.0.2\nnameserver dns.test\nnameserver\nnonsense 1\n"

        assert parse_resolv_conf(text).nameservers == ()

    def test_words_after_the_address_and_line_ends_of_windows(self) -> None:
        assert parse_resolv_conf("nameserver\t10.0.0.1 # office\r\n").nameservers == ("10.0.0.1",)

    def test_the_last_of_search_and_domain_counts(self) -> None:
        assert parse_resolv_conf("domain a.test\nsearch b.test c.test.\n").search == ("b.test", "c.test")
        assert parse_resolv_conf("search b.test c.test\ndomain a.test\n").search == ("a.test",)

    def test_options(self) -> None:
        found = parse_resolv_conf("options ndots:5 timeout:1\noptions attempts:3 rotate\n")

        assert (found.ndots, found.timeout, found.attempts) == (5, 1, 3)
        assert found.rotates

    def test_options_out_of_range_are_capped_and_nonsense_is_passed_over(self) -> None:
        found = parse_resolv_conf("options ndots:99 timeout:0 attempts:x attempts:-1\n")

        assert (found.ndots, found.timeout, found.attempts) == (15, 1, 2)

    def test_what_is_not_said_is_usual(self) -> None:
        found = parse_resolv_conf("")

        assert (found.ndots, found.timeout, found.attempts, found.rotates) == (1, 5, 2, False)

    @given(st.text())
    def test_no_text_raises(self, text: str) -> None:
        parse_resolv_conf(text)
        parse_hosts(text, "reg.test")
        parse_nsswitch(text)


class TestReadResolvConf:
    def test_a_file_that_names_nameservers_has_no_problem(self, tmp_path: Path) -> None:
        path = tmp_path / "resolv.conf"
        path.write_text("nameserver 10.0.0.1\n")

        configuration, problem = read_resolv_conf(path)

        assert configuration.nameservers == ("10.0.0.1",)
        assert problem is None

    @pytest.mark.parametrize(
        ("text", "words"), [("", "is empty"), (" \n", "is empty"), ("search a.test\n", "names no nameserver")]
    )
    def test_a_file_without_nameserver(self, tmp_path: Path, text: str, words: str) -> None:
        path = tmp_path / "resolv.conf"
        path.write_text(text)

        assert words in str(read_resolv_conf(path)[1])

    def test_a_missing_file(self, tmp_path: Path) -> None:
        assert "does not exist" in str(read_resolv_conf(tmp_path / "resolv.conf")[1])

    def test_a_dangling_link_names_its_end(self, tmp_path: Path) -> None:
        path = tmp_path / "resolv.conf"
        path.symlink_to("/run/nowhere/stub-resolv.conf")

        assert "/run/nowhere/stub-resolv.conf" in str(read_resolv_conf(path)[1])

    def test_a_folder_in_its_place(self, tmp_path: Path) -> None:
        assert "cannot be read" in str(read_resolv_conf(tmp_path)[1])

    def test_bytes_that_are_no_text(self, tmp_path: Path) -> None:
        path = tmp_path / "resolv.conf"
        path.write_bytes(b"\xff\xfe\nnameserver 10.0.0.1\n")

        assert read_resolv_conf(path)[0].nameservers == ("10.0.0.1",)


class TestHosts:
    def test_every_line_that_names_the_host(self) -> None:
        text = "127.0.0.1 localhost\n10.0.0.1 other reg.test # old\n# 10.0.0.2 reg.test\nfd00::1\tREG.TEST\n"

        assert parse_hosts(text, "reg.test") == (
            HostsLine(address="10.0.0.1", line=2),
            HostsLine(address="fd00::1", line=4),
        )

    def test_names_that_only_resemble_it(self) -> None:
        assert parse_hosts("10.0.0.1 areg.test reg.test.corp\nreg.test 10.0.0.1\n", "reg.test") == ()

    def test_a_missing_file_names_nobody(self, tmp_path: Path) -> None:
        assert read_hosts("reg.test", tmp_path / "hosts") == ()


class TestNsswitch:
    def test_the_words_of_the_line(self) -> None:
        text = "passwd: files\nhosts:  files mdns4_minimal [NOTFOUND=return] dns # usual\n"

        assert parse_nsswitch(text) == ("files", "mdns4_minimal", "[NOTFOUND=return]", "dns")

    def test_what_is_not_said_is_files_and_dns(self, tmp_path: Path) -> None:
        assert read_nsswitch(tmp_path / "nsswitch.conf") == ("files", "dns")


class TestCandidateNames:
    """resolv.conf(5), ``ndots``; Go ``net/dnsclient_unix.go``, ``nameList``."""

    def test_a_name_with_enough_dots_is_tried_as_written_first(self) -> None:
        assert candidate_names("reg.test", ("a.b",), 1) == ("reg.test", "reg.test.a.b")

    def test_a_name_with_too_few_dots_is_tried_as_written_last(self) -> None:
        assert candidate_names("reg.test", ("a.b", "c"), 2) == ("reg.test.a.b", "reg.test.c", "reg.test")

    def test_a_final_dot_switches_the_list_off(self) -> None:
        assert candidate_names("reg.test.", ("a.b",), 5) == ("reg.test",)

    def test_names_that_would_be_too_long_are_left_out(self) -> None:
        assert candidate_names("reg", ("x" * 253,), 1) == ("reg",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10.0.0.1", True),
        ("fd00::1", True),
        ("fe80::1%eth0", True),
        ("reg.test", False),
        ("10.0.0", False),
        ("", False),
        ("10.0.0.1\x00", False),
    ],
)
def test_addresses(text: str, expected: bool) -> None:
    assert is_address(text) is expected
