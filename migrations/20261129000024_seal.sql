-- Texts may be sealed with keys of the operator's (store::seal): then they begin with
-- U+0001 and the name of the key.

CREATE TABLE seal_key (
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT seal_key_pkey PRIMARY KEY (name)
);

COMMENT ON TABLE seal_key IS 'The names of the keys that texts here may be sealed with: without one of them a start is refused.';

ALTER TABLE reply_prompt ADD COLUMN sealed text;
ALTER TABLE reply_prompt ADD CONSTRAINT reply_prompt_sealed_check
    CHECK (sealed IS NULL OR token_ids = '{}');

COMMENT ON COLUMN reply_prompt.sealed IS 'The token ids, sealed: in decimal, with blanks between; absent where they stand in token_ids.';
