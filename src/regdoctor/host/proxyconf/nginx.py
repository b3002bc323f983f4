"""Reads nginx's configuration: directives with their places, includes followed, dumps of ``nginx -T`` taken apart.

The words of a file are told apart by crossplane's lexer; its parser is not used, for it opens whatever a file
includes without a bound.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Final

from regdoctor.facts.proxyconf import UnreadFile
from regdoctor.host.proxyconf.directives import Directive
from regdoctor.host.proxyconf.files import Files, Unreadable, expand, is_pattern, matches, places

MOST_DIRECTIVES: Final = 100_000
"""With every include expanded where it stands."""
_DEEPEST: Final = 40
_MOST_INCLUDES: Final = 20
"""Files that include each other."""

_DUMPED: Final = re.compile(r"^# configuration file (/.*):$", re.MULTILINE)
_HARMLESS: Final = re.compile(
    r"mime\.types|fastcgi|uwsgi|scgi|ssl|tls|letsencrypt|certbot|dhparam|modules|geoip|log_?format|gzip|koi|win-utf",
    re.IGNORECASE,
)
"""Files by whose names it is known that they set nothing that is looked at here."""


@dataclass
class Tree:
    """A configuration with its includes expanded."""

    root: Directive
    """Stands for the file: its block holds what stands outside of every block."""
    files: tuple[str, ...] = ()
    unread: list[UnreadFile] = field(default_factory=list)
    fragment: str | None = None
    """Why the levels around are not known, where the file is a part of a configuration only."""


def load(path: Path, files: Files) -> Tree:
    """The configuration that begins with a file, or a dump of ``nginx -T``.

    A file that is a part of a larger configuration, such as one of ``conf.d``, is read with the rest of it where
    that lies around it.

    :raises Unreadable: the file cannot be read or is not nginx's.
    """
    text = files.text(str(path))
    if _DUMPED.search(text):
        return _load_dump(text)
    tree = _Loader(path, files).load(text)
    if any(tree.root.all("http")):
        return tree
    whole = _around(path)
    if whole is not None:
        return whole
    if any(each.name in ("server", "location", "upstream", "map") for each in tree.root.inside):
        tree.fragment = f"{path} is a part of a configuration, and the http block around it is not known"
    return tree


def _around(path: Path) -> Tree | None:
    """The configuration in a folder above that includes a file; None where there is none."""
    real = path.resolve()
    for folder in list(real.parents)[1:3]:
        main = folder / "nginx.conf"
        try:
            files = Files()
            tree = _Loader(main, files).load(files.text(str(main)))
        except Unreadable:
            continue
        if any(Path(each).resolve() == real for each in tree.files):
            return tree
    return None


def _load_dump(text: str) -> Tree:
    parts: dict[str, str] = {}
    found = list(_DUMPED.finditer(text))
    for match, following in zip(found, [*found[1:], None], strict=True):
        end = following.start() if following is not None else len(text)
        # The line after the heading is the file's first.
        parts.setdefault(match[1], text[match.end() + 1 : end])
    return _Loader(Path(found[0][1]), parts).load(parts[found[0][1]])


class _Loader:
    """Expands includes, from files or from the parts of a dump."""

    def __init__(self, main: Path, source: Files | Mapping[str, str]) -> None:
        self._main = main
        self._source = source
        self._parsed: dict[str, list[Directive]] = {}
        self._unread: dict[tuple[str, str], UnreadFile] = {}
        self._files: dict[str, None] = {}
        self._found: dict[str, list[str]] = {}
        self._directives = 0

    def load(self, text: str) -> Tree:
        name = str(self._main)
        self._files[name] = None
        block = self._expanded(parse(text, name), (self._identity(name),), 0)
        root = Directive("", [], name, 1, 1, block)
        return Tree(root=root, files=tuple(self._files), unread=list(self._unread.values()))

    def _expanded(
        self, directives: Iterable[Directive], stack: tuple[str, ...], depth: int
    ) -> list[Directive]:
        expanded = []
        for each in directives:
            self._directives += 1
            if depth > _DEEPEST:
                raise Unreadable(f"blocks are nested deeper than {_DEEPEST} levels", each.place)
            if self._directives > MOST_DIRECTIVES:
                raise Unreadable(f"more than {MOST_DIRECTIVES} directives are not read", each.place)
            if each.name == "include" and each.arguments:
                expanded += self._included(each, stack, depth)
            elif each.block is not None:
                expanded.append(replace(each, block=self._expanded(each.block, stack, depth + 1)))
            else:
                expanded.append(each)
        return expanded

    def _included(self, include: Directive, stack: tuple[str, ...], depth: int) -> list[Directive]:
        found = []
        pattern = include.argument
        if pattern not in self._found:
            self._found[pattern] = self._paths(pattern)
        for path in self._found[pattern]:
            try:
                if self._identity(path) in stack:
                    raise Unreadable("it includes itself")  # noqa: TRY301
                if len(stack) > _MOST_INCLUDES:
                    raise Unreadable(f"more than {_MOST_INCLUDES} files include each other")  # noqa: TRY301
                if path not in self._parsed:
                    self._parsed[path] = parse(self._text(path), path)
            except Unreadable as problem:
                found.append(self._left_out(include, path, problem))
                continue
            self._files[path] = None
            found += self._expanded(self._parsed[path], (*stack, self._identity(path)), depth)
        return found

    def _identity(self, path: str) -> str:
        """What tells files apart, by whatever path they are named."""
        return os.path.realpath(path) if isinstance(self._source, Files) else path

    def _left_out(self, include: Directive, path: str, problem: Unreadable) -> Directive:
        why = f"{problem.why} ({problem.place})" if problem.place else problem.why
        self._unread[path, include.place] = UnreadFile(path=path, place=include.place, why=why)
        return replace(include, arguments=[path], unread=why)

    def _text(self, path: str) -> str:
        if isinstance(self._source, Files):
            return self._source.text(path)
        if path not in self._source:
            raise Unreadable("the dump does not have it")
        return self._source[path]

    def _paths(self, pattern: str) -> list[str]:
        """What an include names; a file that it names outright is there even where it does not exist."""
        if not isinstance(self._source, Files):
            whole = str(self._main.parent / pattern)
            if not is_pattern(pattern):
                return [whole]
            wanted = PurePosixPath(whole).parts
            return [path for path in self._source if _fits(PurePosixPath(path).parts, wanted)]
        candidates = places(self._main, pattern)
        if is_pattern(pattern):
            return next(filter(None, (expand(each) for each in candidates)), [])
        missing = pattern if PurePosixPath(pattern).is_absolute() else candidates[0]
        return [next((each for each in candidates if Path(each).exists()), missing)]


def _fits(parts: Sequence[str], wanted: Sequence[str]) -> bool:
    return len(parts) == len(wanted) and all(
        part == pattern or matches(part, pattern) for part, pattern in zip(parts, wanted, strict=True)
    )


def sets_nothing_here(path: str) -> bool:
    """Whether a file's name says that it has no settings that are looked at here: MIME types, TLS, FastCGI."""
    return _HARMLESS.search(PurePosixPath(path).name) is not None


def parse(text: str, file: str) -> list[Directive]:
    """The directives of one file; includes stay as they are.

    :raises Unreadable: nginx would not take it.
    """
    from crossplane import lex_string
    from crossplane.errors import NgxParserBaseException

    blocks: list[list[Directive]] = [[]]
    words: list[str] = []
    line, column = 1, 1
    columns = _Columns(text)
    try:
        for word, number, quoted in lex_string(text):
            where = columns.of(word, number, quoted=quoted)
            if not quoted and word.startswith("#"):
                continue
            if quoted or word not in ("{", "}", ";"):
                if not words:
                    line, column = number, where
                words.append(word)
                continue
            if word == "}":
                if words:
                    raise Unreadable("a directive does not end with ;", f"{file}:{line}:{column}")
                blocks.pop()
                continue
            if not words:
                raise Unreadable(f"nothing stands before {word}", f"{file}:{number}:{where}")
            directive = Directive(words[0], words[1:], file, line, column, [] if word == "{" else None)
            blocks[-1].append(directive)
            words = []
            if directive.block is not None:
                blocks.append(directive.block)
                if len(blocks) > _DEEPEST:
                    raise Unreadable(f"blocks are nested deeper than {_DEEPEST} levels", directive.place)
    except NgxParserBaseException as error:
        message = str(getattr(error, "strerror", None) or "it cannot be parsed")
        raise Unreadable(message, f"{file}:{getattr(error, 'lineno', None) or line}") from None
    except (RuntimeError, StopIteration):
        # The lexer of Lua blocks ends like this where the text does.
        raise Unreadable("it ends in the middle of a block", f"{file}:{line}") from None
    if words:
        raise Unreadable("a directive does not end with ;", f"{file}:{line}:{column}")
    return blocks[0]


class _Columns:
    """Where the words of a text begin in their lines, which the lexer does not say; asked for in order."""

    def __init__(self, text: str) -> None:
        self._lines = text.split("\n")
        self._line = 0
        self._end = 0

    def of(self, word: str, line: int, *, quoted: bool) -> int:
        """The column, from 1, of a word in a line; the line's end where it is written in another way."""
        if line != self._line:
            self._line, self._end = line, 0
        text = self._lines[line - 1] if line <= len(self._lines) else ""
        # A quoted word may go on in the next line.
        start = text.find(word.partition("\n")[0], self._end)
        if start < 0:
            return self._end + 1
        self._end = start + len(word)
        return start if quoted else start + 1
