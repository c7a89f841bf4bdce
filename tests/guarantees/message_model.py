"""The part of the reference model that answers calls on messages."""


class RefusedError(Exception):
    """The service should answer with this status and change nothing."""


def refuse_changed(row, call) -> None:
    """Raise RefusedError if If-Match names another version of the mailbox or message."""
    if call.version not in (None, row["version"]):
        raise RefusedError(412)


class MessageModel:
    """Messages are in the mailbox's dict, by UUID. Those of a deleted mailbox are kept."""

    def get_message(self, mailbox, call, with_deleted=False) -> dict:
        message = mailbox["messages"].get(call.message)
        if message is None or (message["deleted"] and not with_deleted):
            raise RefusedError(404)
        return message

    def show_message(self, uuid, message) -> dict:
        return {
            "caller_id_name": message["caller"],
            "caller_id_number": None,
            "duration": 1,
            "heard": message["heard"],
            "received_at": f"{message['day']}T00:00:00Z",
            "transcription": None,
            "transcription_status": "off",
            "uuid": uuid,
        }

    def messages(self, account, call, new_uuid):
        found = self.find_messages(account, call)
        if "cursor" in call.parameters:
            last = self.message_cursors[call.parameters["cursor"]]
            found = [(uuid, row) for uuid, row in found if (row["day"], uuid) < last]
        limit = int(call.parameters.get("limit", len(found)))
        return 200, [self.show_message(uuid, message) for uuid, message in found[:limit]]

    def find_messages(self, account, call) -> list[tuple[str, dict]]:
        """Return the messages of all pages, in order. Raise RefusedError for invalid parameters."""
        messages = self.get_mailbox(account, call)["messages"]
        if call.parameters.get("limit") == "0":
            raise RefusedError(400)
        wanted = {"deleted": "false"} | call.parameters
        tests = {
            "deleted": lambda message, word: message["deleted"] is (word == "true"),
            "heard": lambda message, word: message["heard"] is (word == "true"),
            "search": lambda message, word: word in message["caller"],
        }
        found = [
            (uuid, message)
            for uuid, message in messages.items()
            if all(test(message, wanted[name]) for name, test in tests.items() if name in wanted)
        ]
        return sorted(found, key=lambda item: (item[1]["day"], item[0]), reverse=True)

    def count_unheard(self, account, call) -> int:
        messages = self.get_mailbox(account, call)["messages"].values()
        return sum(not message["heard"] and not message["deleted"] for message in messages)

    def add_message(self, account, call, new_uuid):
        messages = self.get_mailbox(account, call)["messages"]
        fields = call.body
        if "recording" not in fields:
            raise RefusedError(400)
        for uuid, message in messages.items():
            if fields["call_id"] and message["call_id"] == fields["call_id"]:
                return 200, self.show_message(uuid, message)
        messages[new_uuid] = {
            "caller": fields["caller_id_name"],
            "call_id": fields["call_id"],
            "day": fields["received_at"],
            "recording": fields["recording"],
            "heard": False,
            "deleted": False,
            "version": 1,
        }
        self.send_message_event(call, new_uuid, "message.received")
        return 201, self.show_message(new_uuid, messages[new_uuid])

    def message(self, account, call, new_uuid):
        message = self.get_message(self.get_mailbox(account, call), call)
        return 200, self.show_message(call.message, message)

    def recording(self, account, call, new_uuid):
        return 200, self.get_message(self.get_mailbox(account, call), call)["recording"]

    def mark_message(self, account, call, new_uuid):
        message = self.get_message(self.get_mailbox(account, call), call)
        refuse_changed(message, call)
        if "heard" not in call.body:
            raise RefusedError(400)
        set_value(message, "heard", call.body["heard"])
        return 200, self.show_message(call.message, message)

    def delete_message(self, account, call, new_uuid):
        message = self.get_message(self.get_mailbox(account, call), call)
        refuse_changed(message, call)
        set_value(message, "deleted", True)
        self.send_message_event(call, call.message, "message.deleted")
        return 204, None

    def restore_message(self, account, call, new_uuid):
        message = self.get_message(self.get_mailbox(account, call), call, with_deleted=True)
        refuse_changed(message, call)
        set_value(message, "deleted", False)
        return 200, self.show_message(call.message, message)

    def change_messages(self, account, call, new_uuid):
        messages = self.get_mailbox(account, call)["messages"]
        action = call.body["action"]
        if not call.body["uuids"]:
            raise RefusedError(400)
        done, failed = [], []
        for uuid in dict.fromkeys(call.body["uuids"]):
            message = messages.get(uuid)
            if message is None or (message["deleted"] and action != "restore"):
                failed.append({"uuid": uuid, "code": "not_found"})
                continue
            done.append(uuid)
            if action in ("hear", "unhear"):
                set_value(message, "heard", action == "hear")
            else:
                set_value(message, "deleted", action == "delete")
            if action == "delete":
                self.send_message_event(call, uuid, "message.deleted")
        return 200, {"done": done, "failed": failed}


def set_value(message, name, value) -> None:
    """Count up the version if the value is new."""
    message["version"] += message[name] != value
    message[name] = value
