"""Every command in the documents is run by a test or is valid, and every link resolves."""

import re
import shlex
import tomllib

import pytest
from django.core.management import CommandError, get_commands, load_command_class

from tests.documents import DOCUMENTS, anchors, blocks, commands, links, target
from tests.server import ROOT

MANUAL = "docs/operations.md"
MAKEFILE = (ROOT / "Makefile").read_text()

# Tests that read the commands under these headings from the document, and run them.
RUN = {
    ("README.md", "After the start"): "tests/test_make_run.py",
    **{
        ("docs/api.md", heading): "tests/test_make_run.py"
        for heading, _ in blocks("docs/api.md", "sh")
    },
    ("docs/telephony.md", "Connect your PBX"): "tests/test_operations.py",
    (MANUAL, "Operate the service"): "tests/test_operations.py",
    (MANUAL, "Install"): "tests/test_operations.py",
    (MANUAL, "systemd"): "tests/test_operations.py",
    (MANUAL, "Back up and restore"): "tests/test_operations.py",
    (MANUAL, "Upgrade and reload"): "tests/commands/test_serve.py",
    (MANUAL, "Change the pass code key"): "tests/guarantees/test_key_rotation.py",
}
# These would change the environment or need systemd, so only their arguments are checked.
NOT_RUN = {".venv/bin/pip", "python3", "systemctl"}

ARGUMENTS = {
    "ACCOUNT": "acme",
    "USER": "api",
    "FILE": "data.backup",
    "NAME": "rosa",
    "FOLDER": "sounds",
}


def lines_of(script) -> list[str]:
    """Return the commands of a script, each on one line."""
    return [line for line in script.replace("\\\n", " ").splitlines() if line]


def documented_commands() -> list[tuple[str, str, str]]:
    """Return each command with its document and heading."""
    return [
        (document, heading, line)
        for document in DOCUMENTS
        for heading, script in blocks(document, "sh")
        for line in lines_of(script)
    ]


def parser_of(name):
    """Return the parser of a management command. Raise KeyError for an unknown one."""
    command = get_commands()[name]
    command = load_command_class(command, name) if isinstance(command, str) else command
    return command.create_parser("manage.py", name)


def check_manage(name, *arguments):
    try:
        parser_of(name).parse_args(arguments)
    except CommandError as error:
        pytest.fail(f"manage {name}: {error}")


def check_make(name, *variables):
    assert re.search(rf"^{re.escape(name)}:", MAKEFILE, re.MULTILINE)
    for variable in variables:
        assert re.search(rf"\b{variable.partition('=')[0]}\b", MAKEFILE)


def check_pip(*arguments):
    """Compare a pip command with the Makefile, or with the extras of the project."""
    if "--requirement" in arguments:
        assert " ".join(arguments) == "install --require-hashes --requirement requirements/run.txt"
        assert "--require-hashes --requirement\n" in MAKEFILE
        assert "run.stamp: requirements/run.txt" in MAKEFILE
    else:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        extras = re.fullmatch(r"install \.\[(.+)\]", " ".join(arguments))[1]
        assert project["optional-dependencies"].keys() >= set(extras.split(","))


def check_python(*arguments):
    """Compare with the Makefile, or check that the named files of a load harness exist."""
    if arguments[0] == "-m":
        assert arguments == ("-m", "venv", ".venv")
        assert "$(PYTHON) -m venv $(VENV)\n" in MAKEFILE
    else:
        assert arguments[0] == "$BENCH/run.py"
        assert all((ROOT / word).exists() for word in arguments if word.startswith("tests/"))


def check_systemctl(verb, *units):
    """Check that the manual has the units, and that they run management commands."""
    assert verb in {"daemon-reload", "enable", "reload", "restart"}
    names = {unit.name for unit in (ROOT / "docs/systemd").iterdir()}
    for unit in set(units) - {"--now"}:
        template, job = re.fullmatch(r"([a-z-]+@?)(\w*)\.[a-z]+", unit).groups()
        assert unit.replace(f"@{job}", "@") in names
        if template.endswith("@"):
            check_manage(job)


def check_pytest(path):
    assert (ROOT / path).exists()


CHECKS = {
    "manage": check_manage,
    "make": check_make,
    "python3": check_python,
    "systemctl": check_systemctl,
    ".venv/bin/pip": check_pip,
    ".venv/bin/pytest": check_pytest,
}


@pytest.mark.parametrize(("document", "heading", "line"), documented_commands())
def test_every_command_is_run_or_is_valid(document, heading, line):
    program, *arguments = shlex.split(line, comments=True)
    if (document, heading) not in RUN or program in NOT_RUN:
        CHECKS[program](*arguments)


@pytest.mark.parametrize(("document", "heading"), RUN)
def test_named_test_reads_the_commands_out_of_the_document(document, heading):
    source = (ROOT / RUN[document, heading]).read_text()
    assert f'"{document}"' in source
    assert f'"{heading}"' in source or f'commands("{document}")' in source


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_in_the_text_is_valid(document):
    for command in re.findall(r"`manage ([a-z_]+[^`]*)`", (ROOT / document).read_text()):
        name, *arguments = command.split()
        if name == "axes_reset_username":
            arguments = ["rosa"]
        check_manage(name, *arguments)


def listed_commands() -> dict[str, tuple[list[str], str]]:
    """Return the arguments and the description of each command in the manual's table."""
    section = (ROOT / MANUAL).read_text().partition("\n## Commands\n")[2]
    rows = re.findall(r"^\| `(\w+)([^`]*)` \| (.+) \|$", section, re.MULTILINE)
    return {name: (arguments.split(), text) for name, arguments, text in rows}


@pytest.mark.parametrize("name", listed_commands())
def test_listed_command_has_the_listed_options(name):
    arguments, text = listed_commands()[name]
    check_manage(name, *(ARGUMENTS[argument] for argument in arguments))
    options = parser_of(name).format_help()
    assert [option for option in re.findall("--[a-z-]+", text) if option not in options] == []


def test_listed_options_of_issue_credential_are_valid():
    section = (ROOT / MANUAL).read_text().partition("\n## Commands\n")[2]
    for option in re.findall("^- `(--[^`]+)`", section, re.MULTILINE):
        check_manage("issue_credential", "acme", "api", *option.split())


def test_every_management_command_is_listed():
    ours = {name for name, app in get_commands().items() if app == "mailboxes"}
    assert ours - listed_commands().keys() == {"run"}  # for `make run`


def test_every_make_target_is_listed():
    targets = set(re.findall(r"^([a-z0-9-]+):.*## ", MAKEFILE, re.MULTILINE))
    made = {
        line.split()[1] for line in lines_of(commands("CONTRIBUTING.md")) if line[:5] == "make "
    }
    assert targets - made == {"run"}  # in the README


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_resolves(document):
    broken = []
    for link in links(document):
        path, anchor = target(document, link)
        if not path.exists() or (anchor and anchor not in anchors(path)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_lines_of_documents_are_not_too_long(document):
    lines = (ROOT / document).read_text().splitlines()
    assert [line for line in lines if len(line) > 120 and not line.startswith("|")] == []


def test_tour_sends_a_json_type_only_with_a_body():
    lines = lines_of(commands("docs/api.md"))
    calls = [line for line in lines if re.search(r"(^|\()(call|send) ", line)]
    assert {bool(re.search(r"(^|\()send ", line)) == (" -d '" in line) for line in calls} == {True}
