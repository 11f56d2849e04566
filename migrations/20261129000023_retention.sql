-- What is kept goes at some time: when a scene ended, and when somebody left.

ALTER TABLE scene ADD COLUMN ended_at timestamptz;
UPDATE scene SET ended_at = updated_at WHERE state = 'ended';
ALTER TABLE scene ADD CONSTRAINT scene_ended_check CHECK (state <> 'ended' OR ended_at IS NOT NULL);

COMMENT ON COLUMN scene.ended_at IS 'When it ended; absent before.';

ALTER TABLE person
    ADD COLUMN left_at timestamptz,
    ADD COLUMN looked_for_at timestamptz;

COMMENT ON COLUMN person.left_at IS 'Since when the platform knows them as no member of the guild; absent while they are one.';
COMMENT ON COLUMN person.looked_for_at IS 'When the platform was last asked whether they are a member.';
