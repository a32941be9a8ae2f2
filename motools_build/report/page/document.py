"""The HTML document around the sections of a page.

The file needs no network: style and script are part of it, and its policy allows no
others. All text from elsewhere (rows, answers, names) passes `text`, so that it is
shown and never interpreted.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from importlib import resources

from motools_build.text.visible import shown


def text(value: object) -> str:
    """A value as HTML that shows it: markup is escaped, control characters and those
    that reverse the order of words are made visible, and secrets are removed."""
    return escape(shown(value))


def document(
    title: str,
    body: str,
    script: str = "",
    *,
    style: str = "",
    more: str = "",
    head: str = "",
) -> str:
    """A whole HTML document. `title` is text; `body` is HTML; `script` is JavaScript,
    without which everything must be readable. `style` is CSS besides that of all pages,
    `more` are directives of the policy besides those of `policy`, and `head` is further
    HTML of the document's head."""
    own = policy(script, more, style)
    code = f"<script>{script}</script>\n" if script else ""
    return (
        "<!doctype html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{own}">\n'
        f"<title>{text(title)}</title>\n<style>{_styles(style)}</style>\n{head}</head>\n"
        f"<body>\n{body}\n{code}</body>\n</html>\n"
    )


def policy(script: str = "", more: str = "", style: str = "") -> str:
    """The Content-Security-Policy of a document: nothing is loaded, and only its own
    style and script apply. `more` are further directives, `style` is CSS besides that
    of all pages."""
    parts = ["default-src 'none'", f"style-src {_hash(_styles(style))}"]
    if script:
        parts.append(f"script-src {_hash(script)}")
    return "; ".join(
        [*parts, "base-uri 'none'", "form-action 'none'", *more.split(";")]
    )


def section(title: str, body: str, name: str = "") -> str:
    """A section with its heading; empty if it has no body. `name` is its anchor."""
    anchor = f' id="{text(name)}"' if name else ""
    return (
        f"<section{anchor}>\n<h2>{text(title)}</h2>\n{body}\n</section>" if body else ""
    )


def _styles(more: str) -> str:
    return resource("page.css") + more


def folded(title: str, count: str, body: str) -> str:
    """HTML that is folded below a line with its title and what it holds. Paper shows
    it whole. `title` and `count` are text; `body` is HTML."""
    return (
        f'<details class="fold"><summary><b>{text(title)}</b>: {text(count)}</summary>'
        f"{body}</details>\n"
    )


def _hash(content: str) -> str:
    return f"'sha256-{b64encode(sha256(content.encode()).digest()).decode()}'"


def resource(name: str) -> str:
    """The text of a file beside this module."""
    return (resources.files(__package__) / name).read_text(encoding="utf-8")
