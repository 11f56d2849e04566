-- Which process holds a lane, so that a lane whose process is gone need not wait
-- for its lease to run out.

CREATE SEQUENCE holder_id_seq AS integer CYCLE;

ALTER TABLE lane ADD COLUMN holder integer;

COMMENT ON SEQUENCE holder_id_seq IS 'A number for every process that opens the database. As long as it lives it holds the advisory lock of that number.';
COMMENT ON COLUMN lane.holder IS 'The process that claimed it last.';
