-- Jobs that write nothing: bringing what is shown in line with what stands.

ALTER TABLE job
    DROP CONSTRAINT job_text_check,
    ADD CONSTRAINT job_text_check CHECK (
        state NOT IN ('generated', 'sending', 'sent')
        OR work ->> 'kind' = 'show'
        OR num_nonnulls(turn_id, swipe_id) = 2
    );

-- A paused lane does nothing but show, so it can be ready too.
DROP INDEX lane_ready_idx;
CREATE INDEX lane_ready_idx ON lane (next_at) WHERE pending > 0;

COMMENT ON COLUMN lane.paused IS 'The scene is paused or over: nothing is written, only shown.';

-- Whether what is shown may differ from what stands, and how far a place was read.

ALTER TABLE scene
    ADD COLUMN stale boolean NOT NULL DEFAULT false,
    ADD COLUMN last_seen_message bigint;

CREATE INDEX scene_stale_idx ON scene (id) WHERE stale;
CREATE INDEX scene_live_idx ON scene (id) WHERE state <> 'ended';

COMMENT ON COLUMN scene.stale IS 'What stands was changed, and nobody has shown it since. Set in the transaction that changes it, so that a crash leaves it set.';
COMMENT ON COLUMN scene.last_seen_message IS 'The newest message of its place that was looked at, where the platform numbers them in order; what came later is caught up.';
