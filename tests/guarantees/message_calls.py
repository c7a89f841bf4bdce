"""Random calls on messages, for the machine of accounts and callers."""

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from mailboxes.models import Message
from tests.guarantees.accounts import ACCOUNTS, MARKS
from tests.guarantees.reference_model import UNKNOWN
from tests.guarantees.state_machines import RolledBackMachine
from tests.recordings import make_form, make_wav

KEYS = st.sampled_from([None, None, "one", "two"])
VERSIONS = st.sampled_from([None, None, None, 1, 2, 3])
TRUE_OR_FALSE = st.sampled_from(["true", "false"])
DAYS = st.sampled_from(["2023-06-01", "2023-06-02", "2023-06-03"])
CALLS = st.sampled_from(["", "", "one", "two"])
ACTIONS = st.sampled_from(["hear", "unhear", "delete", "restore"])
# Each account's recordings have a tone of their own.
RECORDINGS = {
    account: make_wav(seconds=1, tone=300 + 50 * number) for number, account in enumerate(ACCOUNTS)
}
OWNERS = {recording: account for account, recording in RECORDINGS.items()}


def build_content(call) -> dict:
    """Return the call's body, and the headers that belong to it."""
    if call.command != "add_message":
        return {"body": call.body, "headers": {}}
    fields = dict(call.body)
    return make_form(RECORDINGS.get(fields.pop("recording", None)), **fields)


def parse_answer(answer) -> dict:
    """Return the envelope. The result of a recording is the account that it belongs to."""
    if answer.headers.get("content-type") == "audio/wav":
        return {"result": OWNERS[answer.body]}
    return answer.json if answer.body else {"result": None}


class MessageCalls(RolledBackMachine):
    """The rules for calls on messages."""

    message_cursors: list

    def draw_message(self, data, mailbox) -> str:
        mailboxes = self.model.mailboxes
        own = [*mailboxes.get(mailbox, {}).get("messages", [])]
        everyones = [uuid for row in mailboxes.values() for uuid in row["messages"]]
        return data.draw(st.sampled_from(own or [UNKNOWN]) | st.sampled_from([*everyones, UNKNOWN]))

    @rule(data=st.data(), key=KEYS)
    def add_message(self, data, key):
        call = self.draw_call(data, "add_message", key=key)
        body = data.draw(draw_form(self.get_account(call)))
        self.make_keyed_call(replace(call, mailbox=self.draw_mailbox(data, call), body=body))

    @rule(
        data=st.data(),
        parameters=st.fixed_dictionaries(
            {},
            optional={
                "deleted": TRUE_OR_FALSE,
                "heard": TRUE_OR_FALSE,
                "limit": st.sampled_from(["0", "1", "1", "2"]),
                "search": st.sampled_from([*MARKS.values()]),
            },
        ),
    )
    def list_messages(self, data, parameters):
        call = self.draw_call(data, "messages", parameters=parameters)
        self.make_list_call(replace(call, mailbox=self.draw_mailbox(data, call)))

    @precondition(lambda self: self.message_cursors)
    @rule(data=st.data())
    def next_page_of_messages(self, data):
        """Ask for the next page of any mailbox, in any mailbox, by any caller."""
        parameters = data.draw(st.sampled_from(self.message_cursors))
        call = self.draw_call(data, "messages", parameters=parameters)
        self.make_list_call(replace(call, mailbox=self.draw_mailbox(data, call)))

    def make_list_call(self, call):
        answer = self.make_call(call)
        if answer.status == 200:
            account = self.model.get_account(call)
            total, unheard = answer.headers["x-total-count"], answer.headers["x-unheard-count"]
            assert int(total) == len(self.model.find_messages(account, call))
            assert int(unheard) == self.model.count_unheard(account, call)
        if link := answer.headers.get("link"):
            (cursor,) = parse_qs(urlsplit(link.partition(">")[0]).query)["cursor"]
            last = answer.result[-1]
            self.model.message_cursors[cursor] = last["received_at"][:10], last["uuid"]
            self.message_cursors.append(call.parameters | {"cursor": cursor})

    @rule(
        data=st.data(),
        command=st.sampled_from(["message", "recording", "mark_message", "delete_message"]),
        version=VERSIONS,
    )
    def use_message(self, data, command, version):
        is_write = command in ("mark_message", "delete_message")
        call = self.draw_call(data, command, version=version if is_write else None)
        mailbox = self.draw_mailbox(data, call)
        call = replace(call, mailbox=mailbox, message=self.draw_message(data, mailbox))
        if command == "mark_message":
            bodies = st.booleans().map(lambda heard: {"heard": heard}) | st.just({})
            call = replace(call, body=data.draw(bodies))
        self.make_call(call)

    @rule(data=st.data(), key=KEYS, version=VERSIONS)
    def restore_message(self, data, key, version):
        call = self.draw_call(data, "restore_message", key=key, version=version)
        mailbox = self.draw_mailbox(data, call)
        call = replace(call, mailbox=mailbox, message=self.draw_message(data, mailbox))
        self.make_keyed_call(call)

    @rule(data=st.data(), key=KEYS, action=ACTIONS, count=st.integers(0, 3))
    def change_messages(self, data, key, action, count):
        call = self.draw_call(data, "change_messages", key=key)
        mailbox = self.draw_mailbox(data, call)
        uuids = [self.draw_message(data, mailbox) for _ in range(count)]
        body = {"action": action, "uuids": uuids}
        self.make_keyed_call(replace(call, mailbox=mailbox, body=body))


def build_form(account) -> dict:
    fields = {"caller_id_name": f"{MARKS[account]}0", "call_id": "", "received_at": "2023-06-02"}
    return fields | {"recording": account}


def draw_form(account):
    """Return forms with data of the account. Some lack the recording."""
    mark = MARKS[account]
    fields = {
        "caller_id_name": st.sampled_from([f"{mark}0", f"{mark}1"]),
        "call_id": CALLS,
        "received_at": DAYS,
    }
    recording = {"recording": st.just(account)}
    complete = st.fixed_dictionaries(fields | recording)
    return complete | complete | st.fixed_dictionaries(fields)


def assert_messages_equal(mailboxes) -> None:
    """Assert that the database holds the messages of the model's mailboxes."""
    assert {
        str(row.pk): (
            str(row.mailbox_id),
            row.caller_id_name,
            row.is_heard,
            row.is_deleted,
            row.version,
        )
        for row in Message.objects.all()
    } == {
        message: (uuid, row["caller"], row["heard"], row["deleted"], row["version"])
        for uuid, mailbox in mailboxes.items()
        for message, row in mailbox["messages"].items()
    }
