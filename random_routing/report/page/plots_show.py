"""The page of `dvc plots show` and `diff`, with its library inside: it opens from any folder, without a network.

`.dvc/plots/page.html` is this text. After another version of vl-convert:
python -m random_routing.report.page.plots_show
"""

from __future__ import annotations

from pathlib import Path

from random_routing.files import write_text
from random_routing.report.page.build import library

TEMPLATE = Path(".dvc/plots/page.html")  # as .dvc/config says
FRAME = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
{refresh_tag}
<title>DVC plots</title>
<link rel="icon" href="data:,">
<style>table { border-spacing: 15px; } img { max-width: 100%; }</style>
<script>
LIBRARY
</script>
</head>
<body>
{plot_divs}
</body>
</html>
"""


def template() -> str:
    """HTML in which DVC puts its charts in place of the words in braces."""
    return FRAME.replace("LIBRARY", library())


if __name__ == "__main__":
    write_text(TEMPLATE, template())
