"""Build the API reference from the docstrings with pdoc: `make docs` writes docs/api/index.html.

Comes in: the installed package. Goes out: one page for each module, which link to each other and
need no network. A docstring that pdoc warns about stops the build.

    python docs/make_api.py [FOLDER]
"""

import importlib
import pkgutil
import sys
import warnings
from pathlib import Path

import pdoc
import pdoc.render

import helixlm


def modules() -> list[str]:
    """Return the names of all modules of helixlm, the package first."""
    found = pkgutil.walk_packages(helixlm.__path__, "helixlm.")
    names = [module.name for module in found if not module.name.endswith("__main__")]
    return ["helixlm", *names]


def build(output: Path) -> None:
    """Write the pages.

    Parameters
    ----------
    output : Path
        Folder for them.
    """
    # The verbs are imported when they are first used; pdoc looks at what is there.
    for name in helixlm.__all__:
        setattr(helixlm, name, getattr(helixlm, name))
    names = modules()
    for name in names:
        importlib.import_module(name)
    pdoc.render.configure(docformat="numpy", footer_text=f"helixlm {helixlm.__version__}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        # pdoc walks down from packages itself, but not from those that have an __all__.
        warnings.filterwarnings("ignore", "The module specification .* already been added")
        pdoc.pdoc(*names, output_directory=output)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "api"
    build(folder)
    sys.stdout.write(f"Wrote {folder / 'index.html'}\n")
