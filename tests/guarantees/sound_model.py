"""The part of the reference model that answers calls on sounds."""

from tests.guarantees.accounts import iterate_resellers
from tests.guarantees.message_model import RefusedError, refuse_changed

PARAMETERS = {"search", "tag", "shared", "deleted", "limit", "cursor"}


class SoundModel:
    """Sounds by UUID. `was_shared` stays true, since customers may keep the UUID."""

    def get_sounds(self, account) -> dict:
        """Return the sounds that the account may use."""
        resellers = [*iterate_resellers(account)]
        return {
            uuid: sound
            for uuid, sound in self.sounds_by_uuid.items()
            if not sound["deleted"]
            and (sound["account"] == account or (sound["shared"] and sound["account"] in resellers))
        }

    def get_own_sound(self, account, call, with_deleted=False) -> dict:
        """Return the account's sound. Raise RefusedError, also for one of a reseller."""
        sound = self.sounds_by_uuid.get(call.sound)
        if sound and sound["account"] == account and (with_deleted or not sound["deleted"]):
            refuse_changed(sound, call)
            return sound
        raise RefusedError(409 if call.sound in self.get_sounds(account) else 404)

    def find_users(self, uuid, sound) -> list[str]:
        """Return the account of each active mailbox that plays the sound."""
        users = [
            mailbox["account"]
            for mailbox in self.mailboxes.values()
            if mailbox["settings"]["greeting"] == uuid and not mailbox["deleted"]
        ]
        owner = sound["account"]
        return [
            user
            for user in users
            if user == owner or (sound["shared"] and owner in iterate_resellers(user))
        ]

    def show_sound(self, uuid) -> dict:
        sound = self.sounds_by_uuid[uuid]
        shown = {name: sound[name] for name in ("name", "tag", "shared", "file_name")}
        return shown | {"uuid": uuid, "audio_type": 1}

    def sounds(self, account, call, new_uuid):
        found = self.find_sounds(account, call)
        if "cursor" in call.parameters:
            last = self.sound_cursors[call.parameters["cursor"]]
            found = [uuid for uuid in found if self.sounds_by_uuid[uuid]["created"] < last]
        limit = int(call.parameters.get("limit", len(found)))
        return 200, [self.show_sound(uuid) for uuid in found[:limit]]

    def find_sounds(self, account, call) -> list[str]:
        """Return the UUIDs of all pages, in order. Raise RefusedError for invalid parameters."""
        wanted = call.parameters
        if wanted.keys() - PARAMETERS or wanted.get("limit") == "0":
            raise RefusedError(400)
        found = self.get_sounds(account)
        if wanted.get("deleted") == "true":
            found = {
                uuid: sound
                for uuid, sound in self.sounds_by_uuid.items()
                if sound["account"] == account and sound["deleted"]
            }
        tests = {
            "shared": lambda sound, word: sound["shared"] is (word == "true"),
            "tag": lambda sound, word: sound["tag"].lower() == word.lower(),
            "search": lambda sound, word: word.lower() in sound["name"].lower(),
        }
        matching = [
            uuid
            for uuid, sound in found.items()
            if all(test(sound, wanted[name]) for name, test in tests.items() if name in wanted)
        ]
        return sorted(matching, key=lambda uuid: self.sounds_by_uuid[uuid]["created"], reverse=True)

    def create_sound(self, account, call, new_uuid):
        values = read_values(call.body)
        if "file_name" not in values:
            raise RefusedError(400)
        values = {"name": values["file_name"].removesuffix(".wav"), "shared": False} | values
        self.clock += 1
        state = {"account": account, "version": 1, "deleted": False, "created": self.clock}
        self.sounds_by_uuid[new_uuid] = {"tag": "Greeting"} | values | state
        self.note_sharing(new_uuid)
        return 201, self.show_sound(new_uuid)

    def note_sharing(self, uuid):
        sound = self.sounds_by_uuid[uuid]
        sound["was_shared"] = sound.get("was_shared", False) or sound["shared"]

    def sound(self, account, call, new_uuid):
        if call.sound not in self.get_sounds(account):
            raise RefusedError(404)
        return 200, self.show_sound(call.sound)

    def content_url(self, account, call, new_uuid):
        self.sound(account, call, new_uuid)
        return 200, {}

    def change_sound(self, account, call, new_uuid):
        values = read_values(call.body)
        sound = self.get_own_sound(account, call)
        others = [user for user in self.find_users(call.sound, sound) if user != account]
        if others and not values.get("shared", True):
            raise RefusedError(409)
        if values:
            sound |= values
            sound["version"] += 1
            self.note_sharing(call.sound)
        return 200, self.show_sound(call.sound)

    def delete_sound(self, account, call, new_uuid):
        sound = self.get_own_sound(account, call)
        if self.find_users(call.sound, sound):
            raise RefusedError(409)
        sound["deleted"] = True
        sound["version"] += 1
        return 204, None

    def restore_sound(self, account, call, new_uuid):
        sound = self.get_own_sound(account, call, with_deleted=True)
        if sound["deleted"]:
            sound["deleted"] = False
            sound["version"] += 1
        return 200, self.show_sound(call.sound)


def read_values(body) -> dict:
    """Return the fields that a body sets. Raise RefusedError for a wrong one."""
    values = {name: body[name] for name in ("name", "tag", "shared") if name in body}
    if values.get("name") == "":
        raise RefusedError(400)
    if "content" in body:
        values["file_name"] = body["file_name"]
    return values
