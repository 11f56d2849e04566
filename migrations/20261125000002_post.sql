-- The outbox holds messages, not texts: one is reserved for a job before its text
-- is written, and one may come to show another text of its turn.

ALTER TABLE outbox
    DROP CONSTRAINT outbox_part_key,
    DROP CONSTRAINT outbox_state_check,
    DROP CONSTRAINT outbox_sent_check,
    ALTER COLUMN turn_id DROP NOT NULL,
    ALTER COLUMN swipe_id DROP NOT NULL,
    ADD COLUMN job_id bigint,
    ADD COLUMN channel text,
    ADD COLUMN webhook text,
    ADD COLUMN has_controls boolean NOT NULL DEFAULT false;

UPDATE outbox SET channel = scene.channel
FROM scene WHERE scene.guild_id = outbox.guild_id AND scene.id = outbox.scene_id;

-- Of each turn the messages of its latest text are kept.
UPDATE outbox SET state = 'deleted'
WHERE EXISTS (
    SELECT FROM outbox AS later
    WHERE later.guild_id = outbox.guild_id AND later.turn_id = outbox.turn_id
      AND later.part = outbox.part AND later.id > outbox.id
);

ALTER TABLE outbox
    ALTER COLUMN channel SET NOT NULL,
    ADD CONSTRAINT outbox_scene_fkey FOREIGN KEY (guild_id, scene_id) REFERENCES scene (guild_id, id),
    ADD CONSTRAINT outbox_job_fkey FOREIGN KEY (guild_id, job_id) REFERENCES job (guild_id, id),
    ADD CONSTRAINT outbox_owner_check CHECK (num_nonnulls(job_id, turn_id) > 0),
    ADD CONSTRAINT outbox_text_check CHECK (swipe_id IS NULL OR turn_id IS NOT NULL),
    ADD CONSTRAINT outbox_state_check CHECK (state IN ('waiting', 'sending', 'sent', 'deleted')),
    ADD CONSTRAINT outbox_sent_check CHECK (
        CASE state
            WHEN 'sent' THEN external_id IS NOT NULL
            WHEN 'deleted' THEN true
            ELSE external_id IS NULL
        END
    );

CREATE UNIQUE INDEX outbox_job_part_key ON outbox (guild_id, job_id, part) WHERE state <> 'deleted';
CREATE UNIQUE INDEX outbox_turn_part_key ON outbox (guild_id, turn_id, part) WHERE state <> 'deleted';
CREATE INDEX outbox_scene_idx ON outbox (guild_id, scene_id) WHERE state <> 'deleted';

COMMENT ON TABLE outbox IS 'One message of ours: a part of a text, where the platform''s limit splits it. Its id makes the nonce and the marker by which a message already posted is found again.';
COMMENT ON COLUMN outbox.job_id IS 'The job that it was reserved for, before there was a text.';
COMMENT ON COLUMN outbox.turn_id IS 'The turn that it belongs to, once there is one.';
COMMENT ON COLUMN outbox.swipe_id IS 'The text that it shows; absent while something else is written over it.';
COMMENT ON COLUMN outbox.channel IS 'The platform''s id of the place it is in.';
COMMENT ON COLUMN outbox.webhook IS 'The platform''s id of the webhook that it was posted by; absent for one posted by ourselves.';
COMMENT ON COLUMN outbox.has_controls IS 'Whether it shows buttons.';
COMMENT ON COLUMN outbox.state IS 'waiting → sending (attempt_at committed) → sent (external_id stored) → deleted. Never back; another takes the place of a deleted one.';
