-- People who do not want to be heard, and what remains of a block when its person leaves.

ALTER TABLE person ADD COLUMN opted_out_at timestamptz;

COMMENT ON COLUMN person.opted_out_at IS 'Since when this person wants to be heard in no scene; absent otherwise.';

CREATE TABLE erased_block (
    guild_id   bigint NOT NULL,
    digest     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT erased_block_pkey PRIMARY KEY (guild_id, digest),
    CONSTRAINT erased_block_guild_fkey FOREIGN KEY (guild_id) REFERENCES guild (id),
    CONSTRAINT erased_block_digest_check CHECK (length(digest) = 32)
);

COMMENT ON TABLE erased_block IS 'Whom moderators had blocked when they had themselves forgotten: the block outlives that, or it would be no block.';
COMMENT ON COLUMN erased_block.digest IS 'The SHA-256 of the guild''s key, a colon and the person''s id on the platform.';
