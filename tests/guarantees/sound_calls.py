"""Random calls on sounds, for the machine of accounts and callers."""

from base64 import b64encode
from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from mailboxes.models import Sound
from tests.guarantees.accounts import ACCOUNTS
from tests.guarantees.message_calls import KEYS, TRUE_OR_FALSE, VERSIONS
from tests.guarantees.reference_model import UNKNOWN, Call
from tests.guarantees.state_machines import RolledBackMachine
from tests.recordings import make_wav

CONTENT = b64encode(make_wav(0.3)).decode()
# Names have no marks: customers see those of shared sounds. UUIDs show whose a sound is.
NAMES = st.sampled_from(["Tone one", "Tone two", ""])
FIELDS = {"name": NAMES, "tag": st.sampled_from(["Day", "Night"]), "shared": st.booleans()}
# The service ignores these fields: a client cannot move a sound or choose its UUID.
IGNORED = {"account": st.sampled_from(ACCOUNTS), "uuid": st.just(UNKNOWN)}
FILE = {"content": st.just(CONTENT), "file_name": st.sampled_from(["one.wav", "two.wav"])}
COMPLETE = st.fixed_dictionaries(FILE, optional=FIELDS | IGNORED)
PARTIAL = st.fixed_dictionaries({}, optional=FIELDS | IGNORED)
BODIES = COMPLETE | COMPLETE | PARTIAL


class SoundCalls(RolledBackMachine):
    """The rules for calls on sounds, and for mailboxes that use them."""

    sound_cursors: list

    def draw_sound(self, data, call) -> str:
        """Draw a sound that the account may use, any sound, or an unknown one."""
        usable = [*self.model.get_sounds(self.get_account(call))]
        everyones = [*self.model.sounds_by_uuid, UNKNOWN]
        return data.draw(st.sampled_from(usable or [UNKNOWN]) | st.sampled_from(everyones))

    @initialize()
    def create_first_sounds(self):
        """Create a sound for each account; those of two resellers are shared."""
        for caller in self.callers:
            if caller.credential == "api" and not caller.refusal:
                shared = caller.account in ("north", "north.shop")
                body = {"content": CONTENT, "file_name": "first.wav", "shared": shared}
                self.make_call(Call(caller, None, "create_sound", body=body))

    @rule(
        data=st.data(),
        parameters=st.fixed_dictionaries(
            {},
            optional={
                "search": st.sampled_from(["tone", "FIRST"]),
                "tag": st.sampled_from(["day", "Greeting"]),
                "shared": TRUE_OR_FALSE,
                "deleted": TRUE_OR_FALSE,
                "limit": st.sampled_from(["0", "1", "1", "2"]),
                "account": st.just("north"),
            },
        ),
    )
    def list_sounds(self, data, parameters):
        self.make_sounds_call(self.draw_call(data, "sounds", parameters=parameters))

    @precondition(lambda self: self.sound_cursors)
    @rule(data=st.data())
    def next_sounds(self, data):
        """Ask for any account's next page, by any caller."""
        parameters = data.draw(st.sampled_from(self.sound_cursors))
        self.make_sounds_call(self.draw_call(data, "sounds", parameters=parameters))

    def make_sounds_call(self, call):
        answer = self.make_call(call)
        if link := answer.headers.get("link"):
            (cursor,) = parse_qs(urlsplit(link.partition(">")[0]).query)["cursor"]
            last = self.model.sounds_by_uuid[answer.result[-1]["uuid"]]
            self.model.sound_cursors[cursor] = last["created"]
            self.sound_cursors.append(call.parameters | {"cursor": cursor})

    @rule(data=st.data(), key=KEYS, body=BODIES)
    def create_sound(self, data, key, body):
        self.make_keyed_call(self.draw_call(data, "create_sound", key=key, body=body))

    @rule(
        data=st.data(),
        command=st.sampled_from(["sound", "content_url", "change_sound", "delete_sound"]),
        version=VERSIONS,
    )
    def use_sound(self, data, command, version):
        is_write = command in ("change_sound", "delete_sound")
        call = self.draw_call(data, command, version=version if is_write else None)
        call = replace(call, sound=self.draw_sound(data, call))
        if command == "change_sound":
            call = replace(call, body=data.draw(BODIES))
        self.make_call(call)

    @rule(data=st.data(), key=KEYS, version=VERSIONS)
    def restore_sound(self, data, key, version):
        call = self.draw_call(data, "restore_sound", key=key, version=version)
        self.make_keyed_call(replace(call, sound=self.draw_sound(data, call)))

    @rule(data=st.data())
    def choose_greeting(self, data):
        """Let a mailbox play a sound that its account may use."""
        call = self.draw_call(data, "change")
        usable = [*self.model.get_sounds(self.get_account(call))]
        if usable:
            body = {"greeting": data.draw(st.sampled_from(usable))}
            self.make_call(replace(call, mailbox=self.draw_mailbox(data, call), body=body))


def assert_sounds_equal(sounds) -> None:
    """Compare the database with the model's sounds."""
    rows = Sound.objects.select_related("account")
    names = ("name", "tag", "shared", "file_name", "version")
    assert {
        str(row.pk): (row.account.name, row.is_deleted, *(getattr(row, name) for name in names))
        for row in rows
    } == {
        uuid: (sound["account"], sound["deleted"], *(sound[name] for name in names))
        for uuid, sound in sounds.items()
    }
