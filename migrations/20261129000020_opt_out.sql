-- People who do not want to be heard.

ALTER TABLE person ADD COLUMN opted_out_at timestamptz;

COMMENT ON COLUMN person.opted_out_at IS 'Since when this person wants to be heard in no scene; absent otherwise.';
