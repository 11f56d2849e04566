-- What is to be posted, and what became of it.

CREATE TABLE outbox (
    guild_id    bigint NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    scene_id    bigint NOT NULL,
    turn_id     bigint NOT NULL,
    swipe_id    bigint NOT NULL,
    part        integer NOT NULL,
    state       text NOT NULL DEFAULT 'waiting',
    attempts    integer NOT NULL DEFAULT 0,
    attempt_at  timestamptz,
    external_id text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT outbox_pkey PRIMARY KEY (guild_id, id),
    CONSTRAINT outbox_part_key UNIQUE (guild_id, turn_id, swipe_id, part),
    CONSTRAINT outbox_turn_fkey FOREIGN KEY (guild_id, scene_id, turn_id)
        REFERENCES turn (guild_id, scene_id, id),
    CONSTRAINT outbox_swipe_fkey FOREIGN KEY (guild_id, turn_id, swipe_id)
        REFERENCES swipe (guild_id, turn_id, id),
    CONSTRAINT outbox_state_check CHECK (state IN ('waiting', 'sending', 'sent')),
    CONSTRAINT outbox_sent_check CHECK ((state = 'sent') = (external_id IS NOT NULL))
);

CREATE INDEX outbox_external_id_idx ON outbox (guild_id, external_id) WHERE external_id IS NOT NULL;

COMMENT ON TABLE outbox IS 'One message to post: a part of a swipe, where the platform''s limit splits it. Its id makes the nonce and the marker by which a message already posted is found again.';
COMMENT ON COLUMN outbox.part IS 'Which part of the text, from 0.';
COMMENT ON COLUMN outbox.state IS 'waiting → sending (attempt_at committed) → sent (external_id stored).';
COMMENT ON COLUMN outbox.external_id IS 'The platform''s id of the message, once posted.';
