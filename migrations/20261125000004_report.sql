-- Texts that people report to their moderators.

CREATE TABLE report (
    guild_id    bigint NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    scene_id    bigint NOT NULL,
    turn_id     bigint NOT NULL,
    swipe_id    bigint NOT NULL,
    person_id   bigint NOT NULL,
    reason      text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    resolved_at timestamptz,
    resolved_by bigint,
    CONSTRAINT report_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT report_turn_fkey FOREIGN KEY (guild_id, scene_id, turn_id)
        REFERENCES turn (guild_id, scene_id, id),
    CONSTRAINT report_swipe_fkey FOREIGN KEY (guild_id, turn_id, swipe_id)
        REFERENCES swipe (guild_id, turn_id, id),
    CONSTRAINT report_person_fkey FOREIGN KEY (guild_id, person_id) REFERENCES person (guild_id, id),
    CONSTRAINT report_resolved_by_person_fkey FOREIGN KEY (guild_id, resolved_by)
        REFERENCES person (guild_id, id)
);

CREATE UNIQUE INDEX report_once_key ON report (guild_id, turn_id, swipe_id, person_id)
    WHERE resolved_at IS NULL;
CREATE INDEX report_open_idx ON report (guild_id, id) WHERE resolved_at IS NULL;

COMMENT ON TABLE report IS 'A text that somebody reported.';
COMMENT ON COLUMN report.swipe_id IS 'Which of the turn''s texts stood then.';
COMMENT ON COLUMN report.reason IS 'Why, in their words; may be empty.';
COMMENT ON COLUMN report.resolved_by IS 'Who settled it; absent while it is open.';
