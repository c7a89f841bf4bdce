"""The examples of the published API, literally. They are a part of the contract."""

MAILBOX = """
{
"beep" : true,
"created_on" : "2023-06-02",
"email_recipients" : [
{
"created_on" : "2023-06-02",
"updated_on" : "2023-06-02",
"uuid" : "31347d42-00bd-44a5-9b5c-20dc4197a2f6"
}
],
"greeting" : "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b",
"name" : "Pete's Mailbox",
"password" : "1234",
"play_caller_id" : true,
"play_timestamp" : true,
"transcribe" : true,
"updated_on" : "2023-06-02",
"uuid" : "31347d42-00bd-44a5-9b5c-20dc4197a2f6"
}
"""

# The 201 example: no `updated_on`, neither on the mailbox nor on a recipient.
CREATED_MAILBOX = """
{
"beep" : true,
"created_on" : "2023-06-02",
"email_recipients" : [
{
"created_on" : "2023-06-02",
"uuid" : "31347d42-00bd-44a5-9b5c-20dc4197a2f6"
}
],
"greeting" : "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b",
"name" : "Pete's Mailbox",
"password" : "1234",
"play_caller_id" : true,
"play_timestamp" : true,
"transcribe" : true,
"uuid" : "31347d42-00bd-44a5-9b5c-20dc4197a2f6"
}
"""

ALL_FIELDS = """
{
"beep" : true,
"greeting" : "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b",
"name" : "Pete's Mailbox",
"password" : "1234",
"play_caller_id" : true,
"play_timestamp" : true,
"transcribe" : true
}
"""

OK = ', "status_code" : 200, "status_message" : "OK"}'
LIST_200 = '{"result" : [' + MAILBOX + "]" + OK
ONE_200 = '{"result" : ' + MAILBOX + OK
CREATE_201 = (
    '{"result" : ' + CREATED_MAILBOX + ', "status_code" : 201, "status_message" : "Created"}'
)
NOT_FOUND_404 = '{"result" : {}, "status_code" : 404, "status_message" : "Not Found"}'
BAD_REQUEST_400 = '{"result" : {}, "status_code" : 400, "status_message" : "Bad Request"}'
