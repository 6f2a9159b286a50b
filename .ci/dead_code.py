"""Name the code that nothing uses: of the source, what no other source, no example and
no documentation uses (a test alone is no use); of the tests, what no test uses.
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

from vulture import Vulture
from vulture.core import Item

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("embodied", "envs", "policies", "datasets", ".ci")
IGNORED_NAMES = ["test_*", "pytestmark", "[A-Z]", "__*__"]
OWN = ("embodied", "tests")
# bases from other libraries whose classes are filled with names of our own
OURS_TO_FILL = {"Protocol", "Generic", "NamedTuple", "Enum", "Exception"}
IGNORED_DECORATORS = ["@pytest.fixture*", "@wp.*", "@warp.*"]
# What users of the package call, though no page shows it. Say why beside each.
PUBLIC = frozenset(
    {
        "FACING_MINUS_Y",  # where a sign may face, as FACING_MINUS_X
        "FACING_PLUS_X",
        "FACING_PLUS_Y",
        "FACING_UP",
        "SingleRun",  # a kind of run folder, which the registry names in a string
        "identical",  # whether a replay differed nowhere
        "integration_state",  # all of some worlds' state, to compare
        "merge",  # datasets of several collections into one
        "parcels_per_hour",  # what a sorting line is measured by
        "read_sweep",  # what a sweep found, for programs
        "segmentation",  # of cameras, beside RGB and depth
        "to_physical",  # the inverse of what an action interface says
    }
)


def unused(folders: tuple[str, ...]) -> list[Item]:
    """Returns what nothing in these folders uses."""
    vulture = Vulture(ignore_names=IGNORED_NAMES, ignore_decorators=IGNORED_DECORATORS)
    # the links of the package lead to folders that are read themselves
    links = [str(path) for path in (ROOT / "embodied").iterdir() if path.is_symlink()]
    vulture.scavenge([str(ROOT / folder) for folder in folders], exclude=links)
    unused_code: list[Item] = vulture.get_unused_code()
    return unused_code


def named_elsewhere() -> set[str]:
    """Returns names that stand where vulture does not look: in the documentation's code,
    in the project's file, in templates, and in strings that name an import.
    """
    code = [(ROOT / "pyproject.toml").read_text(encoding="utf-8")]
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        text = page.read_text(encoding="utf-8")
        code += re.findall(r"```.*?```|`[^`\n]+`", text, flags=re.DOTALL)

    for folder in SOURCES:
        for template in (ROOT / folder).rglob("*.j2"):
            code.append(template.read_text(encoding="utf-8"))
        for module in (ROOT / folder).rglob("*.py"):
            text = module.read_text(encoding="utf-8")
            code += re.findall(r'"[\w.]+:\w+"|"[^"\n]*\bimport \w+', text)

    # of the tests only strings that name something in the tests
    for module in (ROOT / "tests").rglob("*.py"):
        text = module.read_text(encoding="utf-8")
        code += re.findall(r'"tests\.[\w.]+:\w+"', text)
    return set(re.findall(r"\w+", "\n".join(code)))


def called_by_others(path: Path) -> set[int]:
    """Returns the lines of a module in which other libraries decide what there is:
    classes derived from theirs, and the fields of dataclasses, which files hold.
    """
    tree = ast.parse(path.read_text(encoding="utf-8"))
    foreign = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            if node.module is None or node.module.split(".")[0] not in OWN:
                foreign |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            foreign |= {
                (alias.asname or alias.name).split(".")[0] for alias in node.names
            }

    lines: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef):
            continue
        bases = {re.split(r"\W", ast.unparse(base))[0] for base in node.bases}
        if bases & foreign - OURS_TO_FILL:
            lines.update(range(node.lineno, (node.end_lineno or 0) + 1))
        lines.update(
            line.lineno for line in node.body if isinstance(line, ast.AnnAssign)
        )
    return lines


def is_alive(item: Item, known: set[str], others: set[int]) -> bool:
    """Returns whether an item has a use that vulture does not see."""
    if item.typ == "attribute":
        return (
            True  # one that is set belongs to another library's object, as MuJoCo's do
        )
    is_argument = item.typ == "variable" and item.confidence == 100
    if is_argument and item.filename.is_relative_to(ROOT / "tests"):
        return True  # a fixture that is asked for its effect
    return item.name in known or item.first_lineno in others


def main() -> int:
    """Prints what is unused; returns 1 where there is anything."""
    found = []
    for item in unused((*SOURCES, "examples")):
        if not item.filename.is_relative_to(ROOT / "examples"):
            found.append(item)
    for item in unused((*SOURCES, "examples", "tests")):
        if item.filename.is_relative_to(ROOT / "tests"):
            found.append(item)

    known = named_elsewhere() | PUBLIC
    others = {path: called_by_others(path) for path in {i.filename for i in found}}
    dead = [i for i in found if not is_alive(i, known, others[i.filename])]
    for item in dead:
        where = item.filename.relative_to(ROOT)
        print(f"{where}:{item.first_lineno}: unused {item.typ} {item.name}")
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main())
