-- users-kafka.sql: users.sql with its messages in a Kafka topic, where producer.sql (or anybody) puts them.
--
--     leat run users-kafka.sql                            follows the topic until Ctrl-C; the next run goes on where this one stopped
--     leat run users-kafka.sql --available-now            what is there now
--
-- brokers, topic: where from. For brokers that want TLS or a password add client properties to the table below, such as
-- 'kafka.security.protocol' 'SASL_SSL', 'kafka.sasl.mechanism' 'PLAIN', 'kafka.sasl.username' 'leat',
-- 'kafka.sasl.password' '${env:KAFKA_PASSWORD}'. That one is read when leat connects, and never stored, printed or logged.
SET brokers = '127.0.0.1:9092';
SET topic = 'users';

-- One epoch a second, so that the sample below can be read. Without it an epoch begins as soon as there is data.
SET leat.trigger = '1 second';

-- A topic: key, value, topic, partition, offset, timestamp, timestampType. The offsets are in leat's own log and not in a consumer group.
CREATE TABLE messages USING kafka
OPTIONS ('kafka.bootstrap.servers' '${brokers}', subscribe '${topic}', startingOffsets 'earliest');

-- One row a user. A few things that are easy to get wrong:
--   * `id` is the user's own uuid, out of the message. A script that calls uuid() once per process gives every row the same key, and the
--     table ends with one row.
--   * `postcode` is a number in some countries and text in others (K1A 0B1): as STRING it reads both.
--   * A message that is no user (junk, empty, another shape) would become a row of NULLs. assert_true raises an error for it, and
--     leat puts it into leat_dead, with its place and its bytes.
CREATE TEMPORARY VIEW users AS
SELECT r.login.uuid AS id,
       r.gender AS gender,
       concat(r.name.first, ' ', r.name.last) AS full_name,
       concat_ws(', ', r.location.street.number, r.location.street.name, r.location.city, r.location.state,
                 r.location.country, r.location.postcode) AS full_address,
       substring_index(r.email, '@', -1) AS domain_email,
       date_format(r.dob.date, 'yyyy-MM-dd') AS birthday,
       date_format(r.registered.date, 'yyyy-MM-dd') AS registered_date,
       floor(datediff(current_date(), r.dob.date) / 365) AS age,
       r.nat AS nationality
FROM (SELECT from_json(CAST(value AS STRING), '
        gender STRING, name STRUCT<title: STRING, first: STRING, last: STRING>,
        location STRUCT<street: STRUCT<number: INT, name: STRING>, city: STRING, state: STRING, country: STRING, postcode: STRING>,
        email STRING, login STRUCT<uuid: STRING>, dob STRUCT<date: TIMESTAMP, age: INT>,
        registered STRUCT<date: TIMESTAMP, age: INT>, nat STRING') AS r
      FROM messages)
WHERE assert_true(r.login.uuid IS NOT NULL, 'not a user') IS NULL;

-- Every user, once.
CREATE STREAMING TABLE user_informations AS SELECT * FROM STREAM users;

-- Results that always equal their query over everything read so far.
CREATE MATERIALIZED VIEW users_by_nationality
TBLPROPERTIES ('leat.chart' = 'bar', 'leat.x' = 'nationality', 'leat.y' = 'users', 'leat.title' = 'Users by nationality')
AS SELECT nationality, count(*) AS users FROM users GROUP BY nationality;

CREATE MATERIALIZED VIEW users_by_nationality_and_gender
AS SELECT nationality, gender, count(*) AS users FROM users GROUP BY nationality, gender;

CREATE MATERIALIZED VIEW average_age AS SELECT avg(age) AS average_age, count(*) AS users FROM users;

CREATE MATERIALIZED VIEW users_by_gender_and_age AS SELECT gender, age, count(*) AS users FROM users GROUP BY gender, age;

CREATE MATERIALIZED VIEW top_email_domains AS
SELECT domain_email, count(*) AS users FROM users GROUP BY domain_email ORDER BY users DESC, domain_email LIMIT 10;

-- A look at what passes by.
CREATE STREAMING TABLE sample USING console TBLPROPERTIES (numRows = '5')
AS SELECT full_name, nationality, age, domain_email FROM STREAM users;
