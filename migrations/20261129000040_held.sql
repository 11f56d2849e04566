-- What waits for moderators, and where their log says so.

ALTER TABLE moderation_case
    DROP CONSTRAINT moderation_case_kind_check,
    ADD CONSTRAINT moderation_case_kind_check CHECK (kind IN
        ('report', 'hold', 'freeze', 'unfreeze', 'freeze all', 'unfreeze all', 'block', 'unblock',
         'warn', 'purge')),
    ADD COLUMN follows         bigint,
    ADD COLUMN revision        bigint NOT NULL DEFAULT 1,
    ADD COLUMN logged_revision bigint NOT NULL DEFAULT 0,
    ADD COLUMN log_channel     text,
    ADD COLUMN log_message     text,
    ADD COLUMN log_until       timestamptz,
    ADD CONSTRAINT moderation_case_follows_case_fkey FOREIGN KEY (guild_id, follows)
        REFERENCES moderation_case (guild_id, number);

-- Those were told when they came.
UPDATE moderation_case SET logged_revision = revision;

CREATE INDEX moderation_case_follows_idx ON moderation_case (guild_id, follows)
    WHERE follows IS NOT NULL;
CREATE INDEX moderation_case_unlogged_idx ON moderation_case (guild_id, number)
    WHERE logged_revision < revision AND kind IN ('report', 'hold');

COMMENT ON COLUMN moderation_case.follows IS 'The report or hold upon which a moderator did this.';
COMMENT ON COLUMN moderation_case.revision IS 'Goes up with whatever the log is to tell anew.';
COMMENT ON COLUMN moderation_case.logged_revision IS 'What the log tells; behind the revision until somebody has written it there.';
COMMENT ON COLUMN moderation_case.log_channel IS 'The platform''s id of the place where the log tells of it.';
COMMENT ON COLUMN moderation_case.log_message IS 'The platform''s id of the message there.';
COMMENT ON COLUMN moderation_case.log_until IS 'Until when whoever writes it to the log is left to it.';

CREATE TABLE held (
    guild_id    bigint NOT NULL,
    case_number bigint NOT NULL,
    source      text,
    place       text,
    body        jsonb NOT NULL,
    approved_at timestamptz,
    CONSTRAINT held_pkey PRIMARY KEY (guild_id, case_number),
    CONSTRAINT held_case_fkey FOREIGN KEY (guild_id, case_number)
        REFERENCES moderation_case (guild_id, number),
    CONSTRAINT held_source_key UNIQUE (guild_id, source)
);

COMMENT ON TABLE held IS 'What a case holds until a moderator has seen it. It waits while the case is open; one that is closed without an approval was rejected.';
COMMENT ON COLUMN held.source IS 'What it came from, so that a second delivery is known as one.';
COMMENT ON COLUMN held.place IS 'The platform''s id of the place where the person is told what became of it.';
COMMENT ON COLUMN held.body IS 'What it is, and all that an approval needs.';
COMMENT ON COLUMN held.approved_at IS 'Since when it is where it belongs.';

SELECT hold_by_guild('held');
