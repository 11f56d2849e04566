-- Connections to a platform's gateway, shared between processes.

CREATE TABLE identify (
    bucket integer NOT NULL,
    at     timestamptz NOT NULL
);

CREATE INDEX identify_at_idx ON identify (at);

COMMENT ON TABLE identify IS 'When a session was begun, for the last day: the platform allows so many a day in all, and one every few seconds in each bucket.';
COMMENT ON COLUMN identify.bucket IS 'The shard''s number, modulo how many may begin at once.';

CREATE TABLE shard (
    shard       integer NOT NULL,
    shard_count integer NOT NULL,
    num_guilds  integer NOT NULL,
    updated_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT shard_pkey PRIMARY KEY (shard_count, shard),
    CONSTRAINT shard_number_check CHECK (shard >= 0 AND shard < shard_count)
);

COMMENT ON TABLE shard IS 'What each shard last said of itself.';
COMMENT ON COLUMN shard.num_guilds IS 'How many guilds it serves.';
