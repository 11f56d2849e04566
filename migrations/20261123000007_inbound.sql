-- Messages that came in, so that none is taken twice.

CREATE TABLE inbound (
    guild_id    bigint NOT NULL,
    external_id text NOT NULL,
    scene_id    bigint NOT NULL,
    turn_id     bigint NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inbound_pkey PRIMARY KEY (guild_id, external_id),
    CONSTRAINT inbound_turn_fkey FOREIGN KEY (guild_id, scene_id, turn_id)
        REFERENCES turn (guild_id, scene_id, id) DEFERRABLE INITIALLY DEFERRED
);

CREATE INDEX inbound_turn_idx ON inbound (guild_id, turn_id);

COMMENT ON TABLE inbound IS 'A person''s message that became a turn. The key is what makes a repeated delivery harmless.';
COMMENT ON COLUMN inbound.external_id IS 'The platform''s id of the message.';
COMMENT ON COLUMN inbound.turn_id IS 'The turn it became; checked at commit, because the row is written first.';
