-- Chats and presets keep the file that they came from, so that they go out as they came.

ALTER TABLE scene ADD COLUMN source json;
ALTER TABLE turn ADD COLUMN source json;
ALTER TABLE preset ADD COLUMN source json;

COMMENT ON COLUMN scene.source IS 'The head of the chat file that it was imported from, as it was spelled.';
COMMENT ON COLUMN turn.source IS 'Its line of the chat file that it was imported from, as it was spelled.';
COMMENT ON COLUMN preset.source IS 'The preset file that it was imported from, as it was spelled.';
