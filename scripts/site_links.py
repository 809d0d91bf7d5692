"""A hook of mkdocs: links from docs/ to files of the tree outside it, which the site does not have, become their names."""

import re


def on_page_markdown(markdown, page, **_):
    depth = page.file.src_uri.count("/") + 1
    return re.sub(r"\[([^\]]+)\]\((?:\.\./){%d}([^)]+)\)" % depth, r"\1 (`\2`)", markdown)
