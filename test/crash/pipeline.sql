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
