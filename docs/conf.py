"""How Sphinx builds the guide, and pydoctor the API beside it, in ``api/``."""

import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

CHECKOUT = Path(__file__).resolve().parents[1]

project = "txhixie"
author = "The txhixie developers"
project_copyright = author
version = release = installed("txhixie")

extensions = ["sphinx.ext.intersphinx"]
exclude_patterns = ["_build"]
nitpicky = True

highlight_language = "none"  # a block that is code says which

html_theme = "alabaster"
html_theme_options = {
    "description": "WebSocket for Twisted, in every dialect that shipped",
    # Lines of code have 100 columns.
    "page_width": "1240px",
    "body_max_width": "980px",
}


def setup(app: Sphinx) -> None:
    """Before anything is read: what refers to the API needs to know what is in it."""
    api = Path(app.outdir, "api")
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pydoctor", "--quiet", "--warnings-as-errors"),
            *(f"--project-name={project}", f"--project-version={version}"),
            *(f"--project-base-dir={CHECKOUT}", "--docformat=restructuredtext"),
            *("--privacy=HIDDEN:txhixie.sansio.wire._wire", f"--html-output={api}"),
            str(CHECKOUT / "txhixie"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if told.returncode:
        raise ExtensionError(f"pydoctor: {told.stdout}")
    app.config.intersphinx_mapping = {"api": ("api/", str(api / "objects.inv"))}
