"""Reads Caddyfiles: words, blocks, imports and snippets (Caddy documentation, "Caddyfile concepts")."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from regdoctor.facts.proxyconf import UnreadFile
from regdoctor.host.proxyconf.directives import Directive
from regdoctor.host.proxyconf.files import Files, Unreadable, expand, is_pattern

MOST_DIRECTIVES: Final = 50_000
_DEEPEST: Final = 40
_MOST_IMPORTS: Final = 20
_VARIABLE: Final = re.compile(r"\{\$(\w+)(?::([^{}]*))?\}")
_ARGUMENT: Final = re.compile(r"\{args(?:\.(\d{1,3})|\[(\d{1,3})\])\}")
_HEREDOC: Final = re.compile(r"<<([A-Za-z0-9_-]+)\r?\n")


@dataclass
class Word:
    """One word and where it stands; ``quoted`` ones are never braces."""

    text: str
    line: int
    column: int = 1
    quoted: bool = False


@dataclass
class Caddyfile:
    """The global options and the sites of a configuration, imports expanded."""

    options: Directive | None = None
    sites: list[Directive] = field(default_factory=list)
    """Each with its addresses as arguments."""
    unread: list[UnreadFile] = field(default_factory=list)


def load(path: Path, files: Files) -> Caddyfile:
    """The configuration that begins with a file.

    :raises Unreadable: it cannot be read, or is no Caddyfile.
    """
    return _Loader(files).load(str(path))


def words(text: str, file: str) -> list[Word]:
    """The words of a file. Variables of the environment have their default where they name one.

    :raises Unreadable: a quote is never closed.
    """
    text = _VARIABLE.sub(lambda match: match[2] if match[2] is not None else match[0], text)
    found: list[Word] = []
    position, line, line_start = 0, 1, 0
    while position < len(text):
        character = text[position]
        if character == "\n":
            line += 1
            position += 1
            line_start = position
        elif character.isspace():
            position += 1
        elif character == "#":
            end = text.find("\n", position)
            position = len(text) if end < 0 else end
        elif character == "\\" and text[position + 1 : position + 2] == "\n":
            # The next line goes on with this one.
            line += 1
            position += 2
            line_start = position
            if found:
                word, position, further = _next(text, position, line, file)
                if word is not None:
                    word.line = found[-1].line
                    found.append(word)
                line += further
                line_start = position if further else line_start
        else:
            column = position - line_start + 1
            word, position, further = _next(text, position, line, file)
            if word is not None:
                word.column = column
                found.append(word)
            line += further
            # What follows a word of several lines counts from its end: nothing begins there that has a place.
            line_start = position if further else line_start
    return found


def _next(text: str, position: int, line: int, file: str) -> tuple[Word | None, int, int]:
    """The word that begins at a position or after the blanks there, where it ends, and the lines that it spans."""
    while position < len(text) and text[position] in " \t\r":
        position += 1
    if position >= len(text) or text[position] == "\n":
        return None, position, 0
    quote = text[position]
    if quote in '"`':
        end = position + 1
        while end < len(text) and text[end] != quote:
            end += 2 if quote == '"' and text[end] == "\\" else 1
        if end >= len(text):
            raise Unreadable("a quote is never closed", f"{file}:{line}")
        body = text[position + 1 : end]
        word = Word(body.replace('\\"', '"') if quote == '"' else body, line, quoted=True)
        return word, end + 1, body.count("\n")
    heredoc = _HEREDOC.match(text, position)
    if heredoc is not None:
        close = re.compile(rf"^[ \t]*{re.escape(heredoc[1])}(?!\w)", re.MULTILINE).search(text, heredoc.end())
        if close is None:
            raise Unreadable("a heredoc is never closed", f"{file}:{line}")
        body = text[heredoc.end() : close.start()]
        return Word(body, line, quoted=True), close.end(), text.count("\n", position, close.end())
    end = position
    while end < len(text) and not text[end].isspace():
        end += 2 if text[end] == "\\" and text[end + 1 : end + 2] not in ("\n", "") else 1
    return Word(text[position:end].replace("\\", ""), line), end, 0


class _Loader:
    def __init__(self, files: Files) -> None:
        self._files = files
        self._snippets: dict[str, list[Directive]] = {}
        self._unread: dict[tuple[str, str], UnreadFile] = {}
        self._parsed: dict[str, list[Directive]] = {}
        self._directives = 0

    def load(self, path: str) -> Caddyfile:
        found = Caddyfile()
        first = True
        for each in self._top_level(self._parse(path), (path,)):
            if not each.name and first and not each.arguments:
                block = self._expanded(each.inside, (path,), 0)
                found.options = replace(each, block=block)
            elif each.name == "site":
                block = self._expanded(each.inside, (path,), 0)
                found.sites.append(replace(each, block=block))
            first = False
        found.unread = list(self._unread.values())
        return found

    def _top_level(self, directives: Iterable[Directive], stack: tuple[str, ...]) -> Iterable[Directive]:
        """Sites and options, with the sites of imported files; snippets are kept for later."""
        for each in directives:
            if each.name == "snippet":
                self._snippets[each.argument] = each.inside
            elif each.name == "import":
                for path, block in self._imported(each, stack):
                    yield from self._top_level(block, (*stack, path))
            else:
                yield each

    def _parse(self, path: str) -> list[Directive]:
        if path not in self._parsed:
            self._parsed[path] = parse(self._files.text(path), path)
        return self._parsed[path]

    def _imported(
        self, directive: Directive, stack: tuple[str, ...]
    ) -> Iterable[tuple[str, list[Directive]]]:
        """The files that an import names, as they would stand at the top."""
        pattern = directive.argument
        base = Path(directive.file).parent
        path = str(base / pattern)
        paths = expand(path) if is_pattern(path) else [path]
        for path in paths:
            try:
                if path in stack:
                    raise Unreadable("it imports itself")  # noqa: TRY301
                if len(stack) > _MOST_IMPORTS:
                    raise Unreadable(f"more than {_MOST_IMPORTS} files import each other")  # noqa: TRY301
                yield path, self._parse(path)
            except Unreadable as problem:
                why = f"{problem.why} ({problem.place})" if problem.place else problem.why
                self._unread[path, directive.place] = UnreadFile(path=path, place=directive.place, why=why)

    def _expanded(
        self, directives: Iterable[Directive], stack: tuple[str, ...], depth: int
    ) -> list[Directive]:
        """Directives within a site, with snippets and files in the place of their imports."""
        expanded: list[Directive] = []
        for each in directives:
            self._directives += 1
            if self._directives > MOST_DIRECTIVES:
                raise Unreadable(f"more than {MOST_DIRECTIVES} directives are not read", each.place)
            if depth > _DEEPEST:
                raise Unreadable(f"blocks are nested deeper than {_DEEPEST} levels", each.place)
            if each.name != "import":
                block = each.block
                if block is not None:
                    block = self._expanded(block, stack, depth + 1)
                expanded.append(replace(each, block=block))
            elif each.argument in self._snippets:
                name = f"({each.argument})"
                if name in stack or len(stack) > _MOST_IMPORTS:
                    continue
                block = _filled(self._snippets[each.argument], each.arguments[1:])
                expanded += self._expanded(block, (*stack, name), depth + 1)
            else:
                known = len(self._unread)
                for path, block in self._imported(each, stack):
                    expanded += self._expanded(_within(block), (*stack, path), depth + 1)
                for unread in list(self._unread.values())[known:]:
                    expanded.append(replace(each, arguments=[unread.path], unread=unread.why))
        return expanded


def _within(block: Iterable[Directive]) -> list[Directive]:
    """What a file holds, as directives of a site: what was read as a site without a block is a directive."""
    found = []
    for each in block:
        if each.name == "site":
            name, *arguments = each.arguments or [""]
            found.append(replace(each, name=name, arguments=arguments))
            if each.unbraced:
                found[-1].block = None
                found += each.inside
        else:
            found.append(each)
    return found


def _filled(block: Iterable[Directive], arguments: list[str]) -> list[Directive]:
    """A snippet's directives with the arguments of its import filled in."""

    def fill(match: re.Match[str]) -> str:
        number = int(match[1] or match[2])
        return arguments[number] if number < len(arguments) else match[0]

    return [
        replace(
            each,
            name=_ARGUMENT.sub(fill, each.name),
            arguments=[_ARGUMENT.sub(fill, word) for word in each.arguments],
            block=_filled(each.block, arguments) if each.block is not None else None,
        )
        for each in block
    ]


def parse(text: str, file: str) -> list[Directive]:
    """The options, snippets, imports and sites of one file; imports stay as they are.

    :raises Unreadable: it is no Caddyfile.
    """
    lines: list[list[Word]] = []
    for word in words(text, file):
        if lines and lines[-1][0].line == word.line and not _is(lines[-1][-1], "}"):
            lines[-1].append(word)
        else:
            lines.append([word])
    found: list[Directive] = []
    stack: list[list[Directive]] = [found]
    addresses: list[Word] = []
    for line in lines:
        closes = _is(line[0], "}")
        open_blocks = len(stack) - (2 if found and found[-1].unbraced else 1)
        if closes and open_blocks == 0:
            raise Unreadable(
                "a block is closed that was never opened", f"{file}:{line[0].line}:{line[0].column}"
            )
        if len(stack) > 1:
            _inside(line, stack, file)
            continue
        opens = _is(line[-1], "{")
        names = line[:-1] if opens else line
        if names and names[0].text == "import" and not opens and not addresses:
            found.append(
                Directive("import", [each.text for each in names[1:]], file, line[0].line, line[0].column)
            )
            continue
        goes_on = names and names[-1].text.endswith(",")
        addresses += names
        if goes_on and not opens:
            continue
        directive = _top(addresses or line, file, named=bool(addresses))
        if not opens:
            # A file of a single site needs no braces: all that follows belongs to it.
            directive.block = []
            directive.unbraced = True
            found.append(directive)
            stack.append(directive.block)
            addresses = []
            continue
        directive.block = []
        found.append(directive)
        stack.append(directive.block)
        addresses = []
    unbraced = found and found[-1].unbraced
    if len(stack) > (2 if unbraced else 1):
        raise Unreadable("a block is never closed", file)
    return found


def _top(words: list[Word], file: str, *, named: bool) -> Directive:
    """A block at the top; without a name it holds the global options."""
    texts = [part for word in words for part in word.text.split(",") if part] if named else []
    name, arguments = "site", texts
    if not texts:
        name = ""
    elif len(texts) == 1 and texts[0].startswith("(") and texts[0].endswith(")"):
        name, arguments = "snippet", [texts[0][1:-1]]
    elif texts[0].startswith("&("):
        name = "named-route"
    return Directive(name, arguments, file, words[0].line, words[0].column)


def _inside(line: list[Word], stack: list[list[Directive]], file: str) -> None:
    """Adds a line to the innermost open block, opens one, or closes it."""
    if _is(line[0], "}"):
        stack.pop()
        return
    opens = len(line) > 1 and _is(line[-1], "{")
    names = line[:-1] if opens else line
    directive = Directive(
        names[0].text,
        [each.text for each in names[1:]],
        file,
        line[0].line,
        line[0].column,
        [] if opens else None,
    )
    stack[-1].append(directive)
    if directive.block is not None:
        stack.append(directive.block)
        if len(stack) > _DEEPEST:
            raise Unreadable(f"blocks are nested deeper than {_DEEPEST} levels", directive.place)


def _is(word: Word, brace: str) -> bool:
    return word.text == brace and not word.quoted
