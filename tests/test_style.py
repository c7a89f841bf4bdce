"""Docstrings and test names follow the style of CONTRIBUTING.md."""

import ast
import re

from tests.server import ROOT

FOLDERS = ["config", "mailboxes", "tests"]
MAX_QUESTIONS = 10  # docstrings that begin with a question word
MAX_FIRST_LINE = 88  # characters

QUESTION = re.compile(r"(Whether|What|Who|Where|How|As)\b")
# A test's name begins with its subject, not with a word that stands for one.
NO_SUBJECT = re.compile(
    r"test_(it|they|he|she|this|that|those|these|what|who|whoever|so|none|nobody|neither|nothing|one)_"
)
DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PATHS = [
    path
    for folder in FOLDERS
    for path in sorted((ROOT / folder).rglob("*.py"))
    if "migrations" not in path.parts
]


def find_nodes(kinds):
    """Yield each node of these kinds, with its place."""
    for path in PATHS:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, kinds):
                yield f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}", node


def docstrings():
    """Yield the place and the text of each docstring."""
    for place, node in find_nodes(DOCUMENTED):
        if text := ast.get_docstring(node):
            yield place, text


def test_docstrings_seldom_begin_with_a_question_word():
    found = [f"{place}: {text}" for place, text in docstrings() if QUESTION.match(text)]
    assert len(found) <= MAX_QUESTIONS, "\n".join(found)


def test_first_line_of_a_docstring_is_short():
    firsts = ((place, text.partition("\n")[0]) for place, text in docstrings())
    assert [f"{place}: {first}" for place, first in firsts if len(first) > MAX_FIRST_LINE] == []


def test_test_names_begin_with_their_subject():
    functions = find_nodes((ast.FunctionDef, ast.AsyncFunctionDef))
    assert [place for place, node in functions if NO_SUBJECT.match(node.name)] == []
