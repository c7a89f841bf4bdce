"""The Markdown documents: their headings, shell commands, configuration files and links."""

import re
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

from tests.server import ROOT

DOCUMENTS = sorted(
    str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
)


def parse_document(document) -> list:
    return MarkdownIt().enable("table").parse((ROOT / document).read_text())


def blocks(document, language) -> list[tuple[str, str]]:
    """Return the code blocks of the language, each with the heading it is under."""
    found, heading = [], ""
    for before, token in pairwise(parse_document(document)):
        if before.type == "heading_open":
            heading = token.content
        elif token.type == "fence" and token.info == language:
            found.append((heading, token.content))
    return found


def steps(document, heading) -> list[tuple[str, str]]:
    """Return the language and the text of each code block under the heading, in order."""
    found, is_under = [], False
    for before, token in pairwise(parse_document(document)):
        if before.type == "heading_open":
            is_under = token.content == heading
        elif token.type == "fence" and is_under:
            found.append((token.info, token.content))
    return found


def commands(document, *headings) -> str:
    """Return the shell commands, all or those under these headings, as one script."""
    found = blocks(document, "sh")
    script = "".join(text for heading, text in found if not headings or heading in headings)
    assert script, f"{document} has no commands under {headings}"
    return script


def anchors(document) -> set[str]:
    """Return the anchors that a Markdown host makes of the headings."""
    pairs = pairwise(parse_document(document))
    headings = [after.content for token, after in pairs if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for text in headings}


def links(document) -> list[str]:
    """Return the targets of links and images, without those on other hosts."""
    inline = (child for token in parse_document(document) for child in token.children or [])
    named = (child.attrGet("href") or child.attrGet("src") for child in inline)
    return [link for link in named if link and not link.startswith(("http://", "https://"))]


def target(document, link) -> tuple[Path, str]:
    """Return the file of a link, and its anchor or an empty string."""
    path, _, anchor = link.partition("#")
    return (ROOT / document).parent / path if path else ROOT / document, anchor
