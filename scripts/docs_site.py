"""What the site of the documentation has beside the files of docs/: hooks of mkdocs (mkdocs.yml, ``make docs``).

The page of all messages, the repository's own documents, the JSON schemas, and the pictures that
``scripts/screenshots.py`` has left in build/screenshots.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))  # mkdocs loads this file by its path

import messages
from setup import ROOT

PICTURES = ROOT / "build" / "screenshots"
DOCUMENTS = {
    "ARCHITECTURE.md": "inside.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "examples/README.md": "examples.md",
    "js/README.md": "recorder.md",
}
"""Documents outside of docs/, and the page that each becomes."""
SCHEMAS = {path.relative_to(ROOT).as_posix(): f"schemas/{path.name}" for path in ROOT.glob("src/**/*.schema.json")}
FOREIGN = re.compile(r'<script src="?https://[^>]*>')
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s:#]+)(#[^)\s]*)?\)")


def generated() -> Iterator[tuple[str, str]]:
    """Pages that no file of docs/ holds: the place on the site, and the Markdown."""
    yield "messages.md", messages.page()
    for document, place in DOCUMENTS.items():
        yield place, relinked((ROOT / document).read_text(encoding="utf-8"), document)


def relinked(text: str, document: str) -> str:
    """``text`` with links that hold on the site; ``document`` is the file it is from, relative to the repository."""

    def link(found: re.Match[str]) -> str:
        there = _resolved(PurePosixPath(document).parent, found[2])
        place = _place(there)
        return f"{found[1]} (`{there}`)" if place is None else f"[{found[1]}]({_back(document)}{place}{found[3] or ''})"

    return LINK.sub(link, text)


def _resolved(folder: PurePosixPath, link: str) -> str:
    parts: list[str] = []
    for part in (folder / link).parts:
        if part == "..":
            del parts[-1:]
        else:
            parts.append(part)
    return "/".join(parts)


def _place(file: str) -> str | None:
    """Where a file of the repository is on the site; None if it is not there."""
    if file.startswith("docs/"):
        return file.removeprefix("docs/")
    return {"README.md": "index.md", **DOCUMENTS, **SCHEMAS}.get(file)


def _back(document: str) -> str:
    """From the page to the site's root: documents from outside of docs/ lie there themselves."""
    return "../" * (document.count("/") - 1) if document.startswith("docs/") else ""


def on_config(config: Any) -> Any:
    """Pages that the navigation does not name come last, under their own titles: reports of benchmarks, mostly."""
    named = set(navigated(config["nav"]))
    pages = sorted(page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md"))
    (last,) = config["nav"][-1].values()
    last += [page for page in pages if page not in named]
    return config


def navigated(part: Any) -> Iterator[str]:
    """The pages in a part of the navigation."""
    if isinstance(part, str):
        yield part
    for inner in part.values() if isinstance(part, dict) else part if isinstance(part, list) else ():
        yield from navigated(inner)


def on_files(files: Any, config: Any) -> Any:
    """Add what is generated."""
    from mkdocs.structure.files import File

    for place, text in generated():
        files.append(File.generated(config, place, content=text))
    for source, place in SCHEMAS.items():
        files.append(File.generated(config, place, abs_src_path=str(ROOT / source)))
    for picture in sorted(PICTURES.glob("*.png")):
        files.append(File.generated(config, f"images/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Links of docs/ that lead out of it; generated pages have theirs already."""
    place: str = page.file.src_uri
    return markdown if place in {"messages.md", *DOCUMENTS.values()} else relinked(markdown, f"docs/{place}")


def on_post_page(output: str, page: Any, config: Any) -> str:
    """The theme's own way to search from a disk is a script on another machine; the site brings one of its own."""
    return FOREIGN.sub(f'<script src="{"../" * page.url.count("/")}worker-from-disk.js">', output)


def on_post_template(output_content: str, template_name: str, config: Any) -> str:
    """The same for the page that says that there is none."""
    return FOREIGN.sub('<script src="worker-from-disk.js">', output_content)
