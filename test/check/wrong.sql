-- wrong.sql: one mistake of each kind; `leat check` reports them all in one run.
CREATE TABLE events USING generator OPTIONS (kind 'nexmark', numRows '10');
CREATE TEMPORARY VIEW bids AS SELECT CAST(value AS STRING) AS text, offset, timestamp FROM events;

-- a misspelt column
CREATE MATERIALIZED VIEW a1 AS SELECT ofset, count(*) AS n FROM bids GROUP BY ofset;
-- a misspelt function
CREATE STREAMING TABLE a2 AS SELECT uper(text) AS t FROM STREAM bids;
-- a misspelt table
CREATE STREAMING TABLE a3 AS SELECT * FROM STREAM bidz;
-- a misspelt keyword
CREATE STREAMING TABLE a4 AS SELCT text FROM STREAM bids;
-- a misspelt type
CREATE STREAMING TABLE a5 AS SELECT CAST(offset AS STRNG) AS s FROM STREAM bids;
-- an unclosed string
CREATE STREAMING TABLE a6 AS SELECT 'abc FROM STREAM bids;
-- an aggregate in WHERE
CREATE MATERIALIZED VIEW a7 AS SELECT text FROM bids WHERE count(*) > 1;
-- a wrong argument type
CREATE STREAMING TABLE a8 AS SELECT date_format(array(1), 'yyyy') AS y FROM STREAM bids;
-- a streaming table over an aggregate without watermark
CREATE STREAMING TABLE a9 AS SELECT text, count(*) AS n FROM STREAM bids GROUP BY text;
-- a streaming table over a batch query
CREATE STREAMING TABLE a10 AS SELECT text FROM bids;
-- STREAM in a materialized view
CREATE MATERIALIZED VIEW a11 AS SELECT text FROM STREAM bids;
