-- pipeline.sql: what the crash tests run: two SQLite files, append and upserts, sums of doubles, a top-N, dead letters. Nothing in it
-- depends on the day, and uuid() only on the seed.
SET rows = 60000;
SET rate = 0;
SET other = other.db;

CREATE TABLE messages USING generator
OPTIONS (kind 'users', seed '11', partitions '3', junk '0.01', numRows '${rows}', rowsPerSecond '${rate}');

CREATE TEMPORARY VIEW users AS
SELECT r.login.uuid AS id, r.gender AS gender, r.nat AS nationality, substring_index(r.email, '@', -1) AS domain,
       year(r.dob.date) AS born, CAST(r.location.coordinates.latitude AS DOUBLE) AS latitude,
       CAST(r.location.coordinates.longitude AS DOUBLE) AS longitude, partition, offset
FROM (SELECT partition, offset, from_json(CAST(value AS STRING), '
        gender STRING, location STRUCT<coordinates: STRUCT<latitude: STRING, longitude: STRING>>, email STRING,
        login STRUCT<uuid: STRING>, dob STRUCT<date: TIMESTAMP>, nat STRING') AS r
      FROM messages)
WHERE assert_true(r.login.uuid IS NOT NULL, 'not a user') IS NULL;

CREATE STREAMING TABLE people AS SELECT *, uuid() AS made FROM STREAM users;

CREATE STREAMING TABLE people_elsewhere USING sqlite TBLPROPERTIES (path = '${other}')
AS SELECT id, nationality, latitude FROM STREAM users WHERE gender = 'female';

CREATE MATERIALIZED VIEW by_nationality AS
SELECT nationality, count(*) AS users, avg(latitude) AS latitude, sum(longitude) AS longitude, min(born) AS oldest, max(id) AS last_id
FROM users GROUP BY nationality;

CREATE MATERIALIZED VIEW by_gender_and_year AS
SELECT gender, born, count(*) AS users, sum(latitude) AS latitude FROM users GROUP BY gender, born;

CREATE MATERIALIZED VIEW overall AS
SELECT count(*) AS users, avg(latitude) AS latitude, count(DISTINCT domain) AS domains FROM users;

CREATE MATERIALIZED VIEW top_domains AS
SELECT domain, count(*) AS users, avg(longitude) AS longitude FROM users GROUP BY domain ORDER BY users DESC, domain LIMIT 10;

CREATE MATERIALIZED VIEW elsewhere_by_domain USING sqlite TBLPROPERTIES (path = '${other}')
AS SELECT domain, count(*) AS users, sum(longitude) AS longitude FROM users GROUP BY domain;

-- Event time: never more than 20 s out of order, so that no row is late wherever epochs are cut.
CREATE TEMPORARY VIEW timed AS SELECT *, timestamp_seconds(1700000000 + offset * 3 + born % 20) AS at FROM users;

CREATE STREAMING TABLE by_window AS
SELECT window.start AS begin, nationality, count(*) AS users, count(DISTINCT domain) AS domains, max(latitude) AS northmost
FROM STREAM timed WATERMARK at DELAY OF INTERVAL 60 SECONDS GROUP BY window(at, '20 minutes'), nationality;

CREATE STREAMING TABLE hourly_elsewhere USING sqlite TBLPROPERTIES (path = '${other}')
AS SELECT window(window, '1 hour').start AS begin, max(users) AS most, count(*) AS windows
FROM (SELECT window, count(*) AS users FROM STREAM timed WATERMARK at DELAY OF INTERVAL 60 SECONDS GROUP BY window(at, '10 minutes', '5 minutes'))
GROUP BY window(window, '1 hour');

CREATE MATERIALIZED VIEW visits AS
SELECT nationality, session_window.start AS begin, session_window.end AS finish, count(*) AS users, max(id) AS last_id
FROM timed WATERMARK at DELAY OF INTERVAL 60 SECONDS GROUP BY nationality, session_window(at, '30 seconds');

-- Aggregations over results that change, in a view and over one; the first rows of each key; both are state that rows are taken out of again.
CREATE MATERIALIZED VIEW by_nationality_and_year AS
SELECT nationality, born, count(*) AS users, max(latitude) AS latitude, sum(longitude) AS longitude, min(id) AS first_id FROM users GROUP BY nationality, born;

CREATE MATERIALIZED VIEW years AS
SELECT born, avg(users) AS users, max(latitude) AS highest, min(latitude) AS lowest, sum(longitude) AS longitude, max_by(nationality, users * 1000 + born) AS most,
       min(first_id) AS first_id, count(DISTINCT users) AS sizes
FROM by_nationality_and_year GROUP BY born;

CREATE MATERIALIZED VIEW sizes AS SELECT users, count(*) AS years, max(nationality) AS last FROM by_nationality_and_year GROUP BY users;

CREATE MATERIALIZED VIEW northernmost AS
SELECT nationality, id, latitude, place FROM (SELECT *, row_number() OVER (PARTITION BY nationality ORDER BY latitude DESC, id) AS place FROM users) WHERE place <= 3;

CREATE MATERIALIZED VIEW largest_of_year AS
SELECT born, nationality, users FROM (SELECT *, row_number() OVER (PARTITION BY born ORDER BY users DESC, nationality) AS place FROM by_nationality_and_year) WHERE place = 1;
