-- Split the history of mailboxes into 16 partitions by account. Needs PostgreSQL 15 or later. Stop the
-- service first, then run:
-- psql --single-transaction --set ON_ERROR_STOP=1 --file partitions.sql

ALTER TABLE mailboxes_historicalmailbox RENAME TO whole;

CREATE TABLE mailboxes_historicalmailbox (LIKE whole INCLUDING DEFAULTS) PARTITION BY HASH (account_id);

SELECT format(
    'CREATE TABLE mailboxes_historicalmailbox_%1$s PARTITION OF mailboxes_historicalmailbox'
    ' FOR VALUES WITH (MODULUS 16, REMAINDER %1$s)', part)
FROM generate_series(0, 15) AS part
\gexec

CREATE SEQUENCE history_of_mailboxes OWNED BY mailboxes_historicalmailbox.history_id;
ALTER TABLE mailboxes_historicalmailbox
    ALTER history_id SET DEFAULT nextval('history_of_mailboxes');
SELECT setval('history_of_mailboxes', max(history_id)) FROM whole;

INSERT INTO mailboxes_historicalmailbox SELECT * FROM whole;
DROP TABLE whole;

ALTER TABLE mailboxes_historicalmailbox
    ADD PRIMARY KEY (account_id, history_id),
    ADD FOREIGN KEY (history_user_id) REFERENCES auth_user DEFERRABLE INITIALLY DEFERRED,
    ADD FOREIGN KEY (history_credential_id) REFERENCES mailboxes_apicredential DEFERRABLE INITIALLY DEFERRED,
    ADD FOREIGN KEY (history_batch_id) REFERENCES mailboxes_batch DEFERRABLE INITIALLY DEFERRED;
CREATE INDEX mailbox_history_by_version ON mailboxes_historicalmailbox (uuid, version);
CREATE INDEX ON mailboxes_historicalmailbox (history_date);
CREATE INDEX ON mailboxes_historicalmailbox (history_user_id);
CREATE INDEX ON mailboxes_historicalmailbox (history_credential_id);
CREATE INDEX ON mailboxes_historicalmailbox (history_batch_id);
ANALYZE mailboxes_historicalmailbox;
