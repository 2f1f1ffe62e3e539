"""Hook of the documentation site: pages outside docs/ join it, and links to other files of the repository leave it.

The sources link to repository files by relative path, as GitHub shows them. In the site such a link leads to the web address
`repo_url`, or becomes plain text where that is not set.
"""

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).parents[1]
SITE_PAGES = {  # repository path: path in the site
    "CONTRIBUTING.md": "CONTRIBUTING.md",
    "SECURITY.md": "SECURITY.md",
    "CHANGELOG.md": "CHANGELOG.md",
    "k8s/README.md": "k8s.md",
}
LINK = re.compile(r"(?<!!)\[([^\]]+)\]\(([^)\s]+)\)")


def on_files(files: Files, config: Any, **_: Any) -> Files:
    """The files of docs/ and the pages that are kept elsewhere in the repository."""
    for source, site_path in SITE_PAGES.items():
        files.append(File.generated(config, site_path, content=(ROOT / source).read_text(encoding="utf-8")))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """The page with links that work in the site."""
    site_path = page.file.src_uri
    source = {path: name for name, path in SITE_PAGES.items()}.get(site_path, f"docs/{site_path}")
    return LINK.sub(lambda link: site_link(link[1], link[2], source, site_path, config.repo_url), markdown)


def site_link(label: str, target: str, source: str, site_path: str, repo_url: str | None) -> str:
    """A link of the file `source`, as the page `site_path` of the site has it."""
    path, hash_mark, fragment = target.partition("#")
    if not path or "://" in path or path.startswith("mailto:"):
        return f"[{label}]({target})"
    repository_path = posixpath.normpath(posixpath.join(posixpath.dirname(source), path))
    page = repository_path.removeprefix("docs/") if repository_path.startswith("docs/") else None
    page = SITE_PAGES.get(repository_path, page)
    if page is not None:
        relative = posixpath.relpath(page, posixpath.dirname(site_path) or ".")
        return f"[{label}]({relative}{hash_mark}{fragment})"
    return f"[{label}]({repo_url.rstrip('/')}/blob/main/{repository_path})" if repo_url else label
