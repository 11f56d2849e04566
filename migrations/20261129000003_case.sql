-- What moderators did, and what waits for them, by numbers that people can name.

CREATE TABLE moderation_case (
    guild_id    bigint NOT NULL,
    number      bigint NOT NULL,
    kind        text NOT NULL,
    person_id   bigint,
    scene_id    bigint,
    turn_id     bigint,
    report_id   bigint,
    opened_by   bigint,
    reason      text NOT NULL,
    evidence    jsonb,
    appeal      text,
    decision    text,
    decided_by  bigint,
    created_at  timestamptz NOT NULL DEFAULT now(),
    decided_at  timestamptz,
    CONSTRAINT moderation_case_pkey PRIMARY KEY (guild_id, number),
    CONSTRAINT moderation_case_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT moderation_case_kind_check CHECK (kind IN
        ('report', 'freeze', 'unfreeze', 'freeze all', 'unfreeze all', 'block', 'unblock', 'warn')),
    CONSTRAINT moderation_case_person_fkey FOREIGN KEY (guild_id, person_id)
        REFERENCES person (guild_id, id),
    CONSTRAINT moderation_case_opened_by_fkey FOREIGN KEY (guild_id, opened_by)
        REFERENCES person (guild_id, id),
    CONSTRAINT moderation_case_decided_by_fkey FOREIGN KEY (guild_id, decided_by)
        REFERENCES person (guild_id, id),
    CONSTRAINT moderation_case_report_fkey FOREIGN KEY (guild_id, report_id)
        REFERENCES report (guild_id, id),
    CONSTRAINT moderation_case_report_key UNIQUE (guild_id, report_id),
    CONSTRAINT moderation_case_decided_check
        CHECK (num_nonnulls(decision, decided_at) IN (0, 2))
);

CREATE INDEX moderation_case_person_idx ON moderation_case (guild_id, person_id, number);

COMMENT ON TABLE moderation_case IS 'A deed of moderators, or something that waits for their word.';
COMMENT ON COLUMN moderation_case.number IS 'From 1 in each guild, by the order of opening.';
COMMENT ON COLUMN moderation_case.person_id IS 'Whom it is about, if it is about somebody.';
COMMENT ON COLUMN moderation_case.scene_id IS 'Where it happened. No key of another table: the case stays when the scene is deleted.';
COMMENT ON COLUMN moderation_case.turn_id IS 'What it is about. No key of another table, either.';
COMMENT ON COLUMN moderation_case.report_id IS 'The report that it is about; one case for each, and deciding it settles the report.';
COMMENT ON COLUMN moderation_case.opened_by IS 'Who did it, or reported it; absent for the service itself.';
COMMENT ON COLUMN moderation_case.reason IS 'Why, in their words; may be empty.';
COMMENT ON COLUMN moderation_case.evidence IS 'The turn as it was then: its texts and how they were made. Stays when the turn is edited or deleted.';
COMMENT ON COLUMN moderation_case.appeal IS 'What the person says to it.';
COMMENT ON COLUMN moderation_case.decision IS 'What came of a report or an appeal; absent while it is open.';
