-- What may become training data: who agreed to it, and which scenes a moderator saw.

CREATE TABLE training_consent (
    guild_id     bigint NOT NULL,
    person_id    bigint NOT NULL,
    agreed_at    timestamptz NOT NULL DEFAULT now(),
    withdrawn_at timestamptz,
    CONSTRAINT training_consent_pkey PRIMARY KEY (guild_id, person_id),
    CONSTRAINT training_consent_person_fkey FOREIGN KEY (guild_id, person_id)
        REFERENCES person (guild_id, id) ON DELETE CASCADE
);

COMMENT ON TABLE training_consent IS 'Who agreed that their words of this guild may train a model. Who has no row, or took it back, is in no export.';
COMMENT ON COLUMN training_consent.agreed_at IS 'Since when.';
COMMENT ON COLUMN training_consent.withdrawn_at IS 'Since when no more; absent while it holds.';

CREATE TABLE training_approval (
    guild_id    bigint NOT NULL,
    scene_id    bigint NOT NULL,
    approved_by bigint NOT NULL,
    approved_at timestamptz NOT NULL DEFAULT now(),
    turn_ids    bigint[] NOT NULL,
    swipe_ids   bigint[] NOT NULL,
    frame       bytea NOT NULL,
    CONSTRAINT training_approval_pkey PRIMARY KEY (guild_id, scene_id),
    CONSTRAINT training_approval_scene_fkey FOREIGN KEY (guild_id, scene_id)
        REFERENCES scene (guild_id, id) ON DELETE CASCADE,
    CONSTRAINT training_approval_person_fkey FOREIGN KEY (guild_id, approved_by)
        REFERENCES person (guild_id, id) ON DELETE CASCADE,
    CONSTRAINT training_approval_texts_check
        CHECK (cardinality(turn_ids) = cardinality(swipe_ids)),
    CONSTRAINT training_approval_frame_check CHECK (length(frame) = 32)
);

COMMENT ON TABLE training_approval IS 'A moderator''s word that a scene may be training data: the texts that stood then, and no others. What was said, edited or re-rolled since waits for another approval.';
COMMENT ON COLUMN training_approval.approved_by IS 'The moderator.';
COMMENT ON COLUMN training_approval.turn_ids IS 'The turns of the line, from the first to the head of that time.';
COMMENT ON COLUMN training_approval.swipe_ids IS 'The text that stood for each of them.';
COMMENT ON COLUMN training_approval.frame IS 'The SHA-256 of what stands before the turns (scenario, characters, personas), so that a change of it is noticed.';
