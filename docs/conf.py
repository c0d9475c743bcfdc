"""How Sphinx builds the guide, and pydoctor the API beside it, in ``api/``."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version as installed
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import ExtensionError

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(CHECKOUT / "docs"))

from references import short_names  # noqa: E402

project = "txhixie"
author = "The txhixie developers"
project_copyright = author
version = release = installed("txhixie")

extensions = ["sphinx.ext.intersphinx", "sphinx_copybutton", "references", "option_tables"]
exclude_patterns = ["_build"]
nitpicky = True
default_role = "py:obj"  # `Limits` is a link: references.py

highlight_language = "none"  # a block that is code says which

html_theme = "furo"
html_title = f"txhixie {version}"
html_copy_source = False
html_static_path = ["_static"]
html_css_files = ["guide.css"]

# Only what a reader types is copied: the commands after "$" with their continuation lines, the
# statements after ">>>" and "...", and programs as they are.
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
copybutton_line_continuation_character = "\\"


INTERNAL = {
    "Channel": ("closeSlow", "sendPrepared"),
    "HixieProtocol": (
        *("adopt", "asked", "closeSlow", "connected", "drained", "expired", "late", "look"),
        *("overflowed", "sendPrepared", "stalled", "timeouts"),
    ),
    "HixieFactory": (*("closeOthers", "emptied", "isClosing", "left", "log", "sendsBinary"),),
    "HixieServerProtocol": ("asked", "yielded"),
    "HixieServerFactory": (*("emptied", "joined", "policy", "stopTrigger", "trustedProxies"),),
    "HixieClientProtocol": ("begin",),
    "HixieClientFactory": ("begins",),
}
"""What public classes have for other modules of the package, and not for programs. The methods that
a subclass may change are shown: ``explanation/house.rst`` lists them."""


def public_modules() -> list[str]:
    """The public modules, as ``reference/api.rst`` lists them."""
    page = (CHECKOUT / "docs" / "reference" / "api.rst").read_text("utf-8")
    return re.findall(r"^``([a-z_.]+)``$", page, re.MULTILINE)


def not_shown() -> Iterator[str]:
    """
    What is not public, by its full name: every module but those that ``api.rst`` lists and the
    packages that they are in, and in a public module what its ``__all__`` leaves out. What it
    re-exports is shown there, by its public name. With a package, pydoctor hides what is in it. It
    compiles each name again and again where there are more than 256: for minutes.
    """
    public = public_modules()

    def is_hidden(name: str) -> bool:
        return name not in public and not any(each.startswith(f"{name}.") for each in public)

    for path in sorted((CHECKOUT / "txhixie").rglob("*.[pc]*")):
        name = ".".join(path.relative_to(CHECKOUT).with_suffix("").parts).removesuffix(".__init__")
        if name in public:
            yield from (f"{name}.{left_out}" for left_out in not_exported(path))
        elif is_hidden(name) and not is_hidden(name.rpartition(".")[0]):
            yield name


def not_exported(path: Path) -> Iterator[str]:
    """The classes and functions of a module that are not in its ``__all__``, if it has one."""
    body = ast.parse(path.read_text("utf-8")).body
    for statement in body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "__all__":
            exported = ast.literal_eval(statement.value)
            made = [each.name for each in body if isinstance(each, (ast.ClassDef, ast.FunctionDef))]
            yield from (name for name in made if name not in exported)


def setup(app: Sphinx) -> None:
    """Write the API pages before anything is read: the text of the guide refers to them."""
    api = Path(app.outdir, "api")
    told = subprocess.run(
        [
            *(sys.executable, "-m", "pydoctor", "--quiet", "--warnings-as-errors"),
            *(f"--project-name={project}", f"--project-version={version}"),
            *(f"--project-base-dir={CHECKOUT}", "--docformat=restructuredtext"),
            *(f"--privacy=HIDDEN:{name}" for name in (*not_shown(), "**._[!_]*", "**.__slots__")),
            *(f"--privacy=HIDDEN:**.{kind}.{name}" for kind in INTERNAL for name in INTERNAL[kind]),
            *(f"--html-output={api}", str(CHECKOUT / "txhixie")),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if told.returncode:
        raise ExtensionError(f"pydoctor: {told.stdout}")
    for page in api.glob("*.html"):
        page.write_text(without_dead_links(page), "utf-8")
    names = short_names(api / "objects.inv", public_modules())
    app.add_config_value("public_names", names, "env", dict)
    app.add_config_value("listed_modules", public_modules(), "env", list)
    app.config.intersphinx_mapping = {"api": ("api/", str(api / "objects.inv"))}


def without_dead_links(page: Path) -> str:
    """A page of pydoctor, with links from annotations and bases to pages that are not shown."""

    def link(found: re.Match[str]) -> str:
        return found[0] if (page.parent / found["page"]).exists() else found["text"]

    pattern = r'<a [^>]*href="(?P<page>txhixie[^"#]*)[^>]*>(?P<text>[^<]*)</a>'
    return re.sub(pattern, link, page.read_text("utf-8"))
