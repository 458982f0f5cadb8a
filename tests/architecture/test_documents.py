"""Links and pictures of the documents lead somewhere."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from markdown_it import MarkdownIt

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path.relative_to(ROOT)
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("alert_rules/**/*.md"))
)


def targets(text: str) -> list[str]:
    """Where the links and pictures of a document lead."""
    inside = [part for block in MarkdownIt("commonmark").enable("table").parse(text) for part in block.children or []]
    found = [part.attrs.get("href", part.attrs.get("src")) for part in inside if part.type in ("link_open", "image")]
    return [str(target) for target in found]


def test_targets_are_found() -> None:
    text = "[a](b.md#c)\n\n| x |\n|---|\n| ![d](<e[1].svg>) |\n\n`[f](g)`\n"
    assert targets(text) == ["b.md#c", "e%5B1%5D.svg"]
    assert len(DOCUMENTS) > 30


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    links = [urlsplit(target) for target in targets((ROOT / document).read_text(encoding="utf-8"))]
    local = [unquote(link.path) for link in links if not link.scheme and link.path]
    lost = [path for path in local if not (ROOT / document.parent / path).exists()]
    assert not lost
