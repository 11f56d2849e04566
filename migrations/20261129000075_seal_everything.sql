-- More is sealed (store::seal): sheets, cards, lorebooks, receipts and the files that things
-- came from are JSON texts where they are. Bytes may be any, so a column says it of them.

ALTER TABLE asset ADD COLUMN sealed_with text;

COMMENT ON COLUMN asset.sha256 IS 'The SHA-256 of the bytes before they were sealed.';
COMMENT ON COLUMN asset.sealed_with IS 'The name of the key that the bytes are sealed with; absent where they are as they came.';
