"""Types that openapi-typescript makes from the published schema fit a TypeScript program."""

import shutil
import subprocess

import pytest
from django.test import Client

from tests import requirements

PACKAGES = ["openapi-typescript@7.13.0", "typescript@5.9.3"]

PROGRAM = """
import type { paths } from "./schema";

type Mailboxes = paths["/voip/mailbox"];
type Created = Mailboxes["post"]["responses"]["201"]["content"]["application/json"];
type Body = Mailboxes["post"]["requestBody"]["content"]["application/json"];
type Mailbox = paths["/voip/mailbox/{uuid}"];
type Change = Mailbox["patch"]["requestBody"]["content"]["application/json"];

type Messages = paths["/voip/mailbox/{mailbox_uuid}/messages"];
type Message = Messages["get"]["responses"]["200"]["content"]["application/json"]["result"][0];
type Form = Messages["post"]["requestBody"]["content"]["multipart/form-data"];

export const caller = (message: Message): string | null => message.caller_id_number;
export const form: Form = { recording: "" };
// @ts-expect-error  the recording is missing
export const empty: Form = { caller_id_name: "Ann" };
export const smallest: Body = { name: "Sales" };
export const change: Change = {};
export const uuid = (created: Created): string => created.result.uuid;
// @ts-expect-error  the name is missing
export const nameless: Body = { beep: true };
// @ts-expect-error  there is no such status
export type Unknown = Mailboxes["get"]["responses"]["299"];
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the compilers, from the npm registry."""
    folder = tmp_path_factory.mktemp("typescript")
    npm = shutil.which("npm")
    if npm is None:
        requirements.skip_or_fail("npm", "npm is not on this machine.")
    command = [npm, "install", "--prefix", folder, "--no-audit", "--no-fund", *PACKAGES]
    if subprocess.run(command, capture_output=True, timeout=300).returncode:
        requirements.skip_or_fail("npm", "npm cannot install packages.")
    return folder


def run_compiler(folder, name, *arguments) -> str:
    """Run a program of the packages. Return what it printed if it failed."""
    command = [folder / "node_modules/.bin" / name, *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    return done.stdout + done.stderr if done.returncode else ""


@pytest.mark.long
@pytest.mark.parametrize("kind", ["yaml", "json"])
def test_program_with_the_generated_types_compiles(folder, kind):
    schema = Client().get(f"/voip/schema?format={kind}").content
    (folder / f"schema.{kind}").write_bytes(schema)
    (folder / "program.ts").write_text(PROGRAM)
    arguments = f"schema.{kind}", "--output", "schema.ts"
    assert run_compiler(folder, "openapi-typescript", *arguments) == ""
    assert run_compiler(folder, "tsc", "--noEmit", "--strict", "program.ts") == ""
