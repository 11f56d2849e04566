-- The reply queue: one lane for each scene, jobs in it, fair between guilds and
-- between the people of a guild.

CREATE TABLE lane (
    guild_id    bigint NOT NULL,
    scene_id    bigint NOT NULL,
    pending     integer NOT NULL DEFAULT 0,
    vtime       double precision NOT NULL DEFAULT 0,
    next_at     timestamptz NOT NULL DEFAULT now(),
    lease_until timestamptz,
    fence       bigint NOT NULL DEFAULT 0,
    paused      boolean NOT NULL DEFAULT false,
    CONSTRAINT lane_pkey PRIMARY KEY (guild_id, scene_id),
    CONSTRAINT lane_scene_fkey FOREIGN KEY (guild_id, scene_id) REFERENCES scene (guild_id, id),
    CONSTRAINT lane_pending_check CHECK (pending >= 0)
);

CREATE INDEX lane_ready_idx ON lane (next_at) WHERE pending > 0 AND NOT paused;

COMMENT ON TABLE lane IS 'The queue of one scene. Claiming a lane is claiming the scene: jobs of a lane run one after another. Whoever changes a scene''s turns locks its lane first.';
COMMENT ON COLUMN lane.pending IS 'How many of its jobs are unfinished.';
COMMENT ON COLUMN lane.vtime IS 'Fair queueing: the start tag of its next job, in the virtual time of its guild.';
COMMENT ON COLUMN lane.next_at IS 'Not to be claimed before; pushed back when a job is to be tried again later.';
COMMENT ON COLUMN lane.lease_until IS 'Until when its claimant holds it; absent when nobody does.';
COMMENT ON COLUMN lane.fence IS 'Raised by every claim. A write that carries an older one is refused.';
COMMENT ON COLUMN lane.paused IS 'Not to be claimed at all: the scene is paused or over.';

CREATE TABLE job (
    guild_id     bigint NOT NULL,
    id           bigint GENERATED ALWAYS AS IDENTITY,
    scene_id     bigint NOT NULL,
    person_id    bigint,
    work         jsonb NOT NULL,
    state        text NOT NULL DEFAULT 'queued',
    vtime        double precision NOT NULL,
    attempts     integer NOT NULL DEFAULT 0,
    turn_id      bigint,
    swipe_id     bigint,
    error        text,
    created_at   timestamptz NOT NULL DEFAULT now(),
    claimed_at   timestamptz,
    generated_at timestamptz,
    attempt_at   timestamptz,
    finished_at  timestamptz,
    CONSTRAINT job_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT job_lane_fkey FOREIGN KEY (guild_id, scene_id) REFERENCES lane (guild_id, scene_id),
    CONSTRAINT job_person_fkey FOREIGN KEY (guild_id, person_id) REFERENCES person (guild_id, id),
    CONSTRAINT job_turn_fkey FOREIGN KEY (guild_id, scene_id, turn_id)
        REFERENCES turn (guild_id, scene_id, id),
    CONSTRAINT job_swipe_fkey FOREIGN KEY (guild_id, turn_id, swipe_id)
        REFERENCES swipe (guild_id, turn_id, id),
    CONSTRAINT job_state_check CHECK (
        state IN ('queued', 'claimed', 'generated', 'sending', 'sent', 'failed', 'cancelled')
    ),
    CONSTRAINT job_text_check CHECK (
        state NOT IN ('generated', 'sending', 'sent') OR num_nonnulls(turn_id, swipe_id) = 2
    )
);

CREATE INDEX job_open_idx ON job (guild_id, scene_id, id)
    WHERE state IN ('queued', 'claimed', 'generated', 'sending');

COMMENT ON TABLE job IS 'A piece of work in a lane: queued → claimed → generated → sending → sent, or failed, or cancelled. Never generated twice.';
COMMENT ON COLUMN job.person_id IS 'Who asked for it; pays for it in the fair queue.';
COMMENT ON COLUMN job.work IS 'What is to be done: {kind, …}.';
COMMENT ON COLUMN job.vtime IS 'Fair queueing: its start tag in the virtual time of its guild.';
COMMENT ON COLUMN job.attempts IS 'How often it was claimed before any text was stored.';
COMMENT ON COLUMN job.turn_id IS 'The turn that its text belongs to, once generated.';
COMMENT ON COLUMN job.swipe_id IS 'Its text, once generated.';
COMMENT ON COLUMN job.error IS 'Why it failed, or was put back the last time.';
COMMENT ON COLUMN job.attempt_at IS 'When sending last began, committed before anything was sent.';

CREATE TABLE guild_queue (
    guild_id   bigint NOT NULL,
    vtime      double precision NOT NULL DEFAULT 0,
    lane_vtime double precision NOT NULL DEFAULT 0,
    CONSTRAINT guild_queue_pkey PRIMARY KEY (guild_id),
    CONSTRAINT guild_queue_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id)
);

COMMENT ON TABLE guild_queue IS 'Start-time fair queueing between guilds (Goyal, Vin, Cheng 1996): the guild with the lowest tag is served next.';
COMMENT ON COLUMN guild_queue.vtime IS 'The start tag of its next job, in the virtual time of the service.';
COMMENT ON COLUMN guild_queue.lane_vtime IS 'The virtual time inside the guild: the start tag of the job served last.';

CREATE TABLE fair_clock (
    only_row boolean NOT NULL DEFAULT true,
    vtime    double precision NOT NULL DEFAULT 0,
    CONSTRAINT fair_clock_pkey PRIMARY KEY (only_row),
    CONSTRAINT fair_clock_only_row_check CHECK (only_row)
);

INSERT INTO fair_clock DEFAULT VALUES;

COMMENT ON TABLE fair_clock IS 'One row: the virtual time of the service, the start tag of the guild served last. A guild that was quiet starts from here, with no credit saved up.';
