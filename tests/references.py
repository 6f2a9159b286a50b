"""What prose names: files, modules, classes, functions with their arguments, and flags,
each with whether it exists.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import importlib
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from embodied.cli import main
from embodied.cli.main import build_parser
from embodied.cli.verbs import verb_module
from tests.text_figures import ROOT, python_files

SOURCE_FOLDERS = ("embodied", "envs", "policies", "datasets")
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(path for path in sorted((ROOT / "docs").glob("*.md")) if path.name != "api.md"),
]
TOP_FOLDERS = ("embodied", "envs", "policies", "datasets", "docs", "tests", "examples")
# Files that pages and docstrings let a user write or get.
EXAMPLE_FILES = re.compile(
    r"\.\w+|(my_\w+|six|try_it|why|cube|cubes|named|totes|demo|random|x|two|best|chart|info|stats|embodied"
    r"|FILE|FILE\.stats|(meta/)?(modality|info)|metadata|(train_|generation_)?config|policy|head|report|results|sweep|history|checkpoint|clips?|pyproject)\.\w+|runs/.*|.*[<*{].*"
)
# What other libraries call their things, and what is an example in a sentence.
FOREIGN_WORDS = {
    "ArrayConversion",
    "Class",
    "NumpyToTorch",
    "PIP_EXTRA_INDEX_URL",
    "RAY_ADDRESS",
    "RAY_AUTH_TOKEN_PATH",
    "SLURM_ARRAY_TASK_ID",
    "TimeAwareObservation",
    "capture_while",
    "deepcopy",
    "episode_000000",
    "episode_000001",
    "front_image",
    "gym",
    "joint1",
    "left_arm",
    "left_gripper",
    "left_tcp_pos_w",
    "my_package",
    "rgb_array_list",
    "right_arm",
    "right_gripper",
}
# Docstrings that cite files of other repositories.
CITING = ("embodied/robots/dual_arm_body.py", "embodied/robots/wheeled_base.py")
ENV_ID = re.compile(r"embodied/\w+-v0")
FOREIGN_FLAGS = {
    "--array",
    "--max-restarts",  # of torchrun, like the next two
    "--nnodes",
    "--nproc-per-node",
    "--logdir",
    "--extra-index-url",
    "--fps",  # of the script for LeRobot
    "--seeds",  # of the script for public robots
    "--table",
    "--resume",
    "--help",
    "--version",
    "--headless",
    "--working-dir",
}


@cache
def source_trees() -> list[tuple[Path, ast.Module]]:
    """Every module of the package, parsed."""
    files = python_files((*SOURCE_FOLDERS, "examples", ".ci"))
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in files]


@cache
def words_of_code() -> frozenset[str]:
    """Every word that the code itself has: names, attributes, and words of its texts."""
    words: set[str] = set(dir(builtins)) | FOREIGN_WORDS
    for path, tree in source_trees():
        words |= {path.stem, path.parent.name}
        docstrings = {id(node) for node in docstring_nodes(tree)}
        for node in ast.walk(tree):
            for field in ("name", "id", "attr", "arg", "asname"):
                words |= set(re.findall(r"\w+", str(getattr(node, field, None) or "")))
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
            if is_text and id(node) not in docstrings:
                words |= set(re.findall(r"\w+", node.value))
    return frozenset(words)


def docstring_nodes(tree: ast.Module) -> Iterator[ast.Constant]:
    """The constants that are docstrings."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node) is not None:
            yield node.body[0].value


@cache
def signatures() -> dict[str, list[list[str]]]:
    """Name of a function or class -> the parameters of each that has the name."""
    found: dict[str, list[list[str]]] = {}
    for _, tree in source_trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                found.setdefault(node.name, []).append(parameters(node))
            elif isinstance(node, ast.ClassDef):
                found.setdefault(node.name, []).append(fields_of(node))
    return found


def parameters(node: ast.FunctionDef) -> list[str]:
    arguments = node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    names = [argument.arg for argument in every if argument.arg not in ("self", "cls")]
    if arguments.vararg or arguments.kwarg:
        names.append("*")
    return names


def fields_of(node: ast.ClassDef) -> list[str]:
    """What a class is made of: its constructor's parameters, or its fields."""
    for part in node.body:
        if isinstance(part, ast.FunctionDef) and part.name == "__init__":
            return parameters(part)
    return [part.target.id for part in node.body if isinstance(part, ast.AnnAssign)]


@cache
def flags_of_verbs() -> dict[str, frozenset[str]]:
    """Verb, such as "eval" or "data merge" -> its flags."""
    found = {}
    for verb in main.VERBS:
        groups = [[verb]]
        module = verb_module("embodied.cli", verb)
        if hasattr(module, "VERBS"):
            groups = [[verb, name] for name in module.VERBS]
        for words in groups:
            found[" ".join(words)] = frozenset(flags(build_parser(words), words))
    return found


def flags(parser: argparse.ArgumentParser, words: list[str]) -> Iterator[str]:
    for action in parser._actions:
        yield from action.option_strings
        if isinstance(action, argparse._SubParsersAction) and words:
            yield from flags(action.choices[words[0]], words[1:])


def problem_of_flag(flag: str) -> str:
    every = frozenset().union(*flags_of_verbs().values())
    return "" if flag in every | FOREIGN_FLAGS else f"no verb has the flag {flag}"


def problem_of_command(text: str) -> str:
    """What is wrong with a command line that begins with `embodied`."""
    words = text.split()[1:]
    known = flags_of_verbs()
    verb = " ".join(words[:2]) if " ".join(words[:2]) in known else " ".join(words[:1])
    if not words or words[0] in ("VERB", "..."):
        return ""
    if verb not in known:
        is_group = any(name.startswith(f"{words[0]} ") for name in known)
        is_whole = is_group and len(words) == 1
        return "" if is_whole else f"there is no verb {' '.join(words[:2])!r}"
    wrong = [word for word in words if word.startswith("-") and word not in known[verb]]
    wrong = [word for word in wrong if not re.fullmatch(r"-?\d.*", word)]
    return f"{verb} has no {wrong}" if wrong else ""


def problem_of_path(text: str, folder: Path) -> str:
    """What is wrong with a path that a text in a folder names."""
    text = text.partition("#")[0]
    if EXAMPLE_FILES.fullmatch(text) or ENV_ID.fullmatch(text):
        return ""
    places = (folder, ROOT, ROOT / "embodied")
    if any((place / text).exists() for place in places):
        return ""
    if "/" not in text and any(ROOT.glob(f"[!.]*/**/{text}")):
        return ""
    return f"there is no file {text}"


def problem_of_call(name: str, inside: str) -> str:
    """What is wrong with a function that is named with its arguments."""
    function = name.rpartition(".")[2]
    if not function or function in dir(builtins):
        return ""
    known = signatures().get(function)
    if known is None:
        return "" if name in words_of_code() or "." in name else f"no function {name}"
    wanted = [part.strip() for part in inside.split(",") if part.strip()]
    wanted = [part.partition("=")[0] for part in wanted]
    if not all(part.isidentifier() for part in wanted):
        return ""
    for parameters_of_one in known:
        if "*" in parameters_of_one or set(wanted) <= set(parameters_of_one):
            return ""
    return f"{name} takes {' or '.join(map(str, known))}, not {wanted}"


def resolves(dotted: str) -> bool:
    """Whether a dotted name is a module of ours or something in one."""
    words = dotted.split(".")
    for count in range(len(words), 0, -1):
        try:
            item: Any = importlib.import_module(".".join(words[:count]))
        except ImportError:
            continue
        for word in words[count:]:
            fields = getattr(item, "__dataclass_fields__", {})
            annotated = getattr(item, "__annotations__", {})
            if word in fields or word in annotated:
                return True
            if not hasattr(item, word):
                return False
            item = getattr(item, word)
        return True
    return False


def problem_of_dotted(text: str) -> str:
    """What is wrong with a dotted name."""
    first = text.split(".", maxsplit=1)[0]
    if text.startswith("embodied.") or (ROOT / "embodied" / first).is_dir():
        full = text if text.startswith("embodied.") else f"embodied.{text}"
        groups = {"embodied.tasks", "embodied.robots", "embodied.policies"}
        return "" if full in groups or resolves(full) else f"there is no {text}"
    missing = [word for word in text.split(".") if word not in words_of_code()]
    return f"nothing is called {missing[0]} in {text}" if missing else ""


FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
FILE = r"[\w.<>*{}-]*(/[\w.<>*{}-]*)*\.(py|md|toml|json|j2|npz|safetensors)"
IN_FOLDER = rf"({'|'.join(TOP_FOLDERS)})/[\w./-]*"
DOTTED = r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+"
CAMEL_OR_SNAKE_CASE = r"[A-Z][a-z]+([A-Z][a-z0-9]*)+|[A-Za-z]+(_[A-Za-z0-9]+)+"


def problem_of_span(text: str, folder: Path) -> str:
    """What is wrong with a text between backticks; "" where nothing is, or is known."""
    call = re.fullmatch(r"([A-Za-z_][\w.]*)\(([^()]*)\)", text)
    if text.startswith("embodied "):
        problem = problem_of_command(text)
    elif re.fullmatch(r"--[a-z][a-z0-9-]*", text):
        problem = problem_of_flag(text)
    elif re.fullmatch(f"{FILE}|{IN_FOLDER}", text):
        problem = problem_of_path(text, folder)
    elif call:
        problem = problem_of_call(*call.groups())
    elif re.fullmatch(DOTTED, text):
        problem = problem_of_dotted(text)
    elif re.fullmatch(CAMEL_OR_SNAKE_CASE, text) and text not in words_of_code():
        problem = f"nothing is called {text}"
    else:
        problem = ""
    return problem


FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)


def problems_of_page(path: Path) -> list[str]:
    """What a page names that does not exist, neither here nor in its own examples."""
    text = path.read_text(encoding="utf-8")
    blocks = FENCED.findall(text)
    own = set(re.findall(r"\w+", " ".join(body for _, body in blocks)))
    prose = FENCED.sub("", text)

    found = []
    for span in spans_of(prose):
        name, _, inside = span.partition("(")
        if set(re.findall(r"[A-Za-z_]\w*", name)) <= own:
            continue
        # what a function is called with in an example, such as `SB3VecEnv(worlds)`
        shown = name if inside.strip(")") in own else span
        found.append(problem_of_span(shown, path.parent))

    for link in re.findall(r"\]\(([^)\s]+)\)", prose):
        if "://" not in link and not link.startswith("#"):
            found.append(problem_of_path(link, path.parent))
    found += [problem_of_flag(flag) for flag in FLAG.findall(prose)]
    for language, body in blocks:
        found += problems_of_block(language, body)
    return [problem for problem in found if problem]


def problems_of_block(language: str, body: str) -> list[str]:
    """What is wrong with the commands of a shell, or with the calls in a drawing."""
    if language == "bash":
        lines = [line.partition("#")[0].strip() for line in body.splitlines()]
        return [problem_of_command(line) for line in lines if line[:9] == "embodied "]
    if language:
        return []
    calls = re.findall(r"\b([A-Za-z_]\w*)\(([^()\n]*)\)", body)
    return [problem_of_call(name, inside) for name, inside in calls]


def problems_of_docstrings(path: Path) -> list[str]:
    """What a module's docstrings name that does not exist."""
    found = []
    for node in docstring_nodes(ast.parse(path.read_text(encoding="utf-8"))):
        prose = " ".join(str(node.value).split())
        found += [problem_of_span(span, path.parent) for span in spans_of(prose)]
        for page in re.findall(r"(?<![\w/])docs/[\w./-]+\.\w+", prose):
            found.append(problem_of_path(page, ROOT))
        found += [problem_of_flag(flag) for flag in FLAG.findall(prose)]
    return [problem for problem in found if problem]


def spans_of(prose: str) -> list[str]:
    """What stands between backticks."""
    return [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose)]
