-- producer.sql: randomuser.me users into a Kafka topic, without what nobody behind the topic needs to know.
--
--     leat kafka topics --create users --partitions 2
--     leat run producer.sql                               2,000 users a second until Ctrl-C
--     leat run producer.sql --set rows=100000 --set rate=0
--     leat kafka consume users --count 3                  what has left the machine
--
-- brokers, topic: where to. rate: messages a second, 0: as fast as they are read. rows: messages in all, -1: no end. junk: the share of
-- broken messages.
SET brokers = '127.0.0.1:9092';
SET topic = 'users';
SET rate = 2000;
SET rows = -1;
SET junk = 0.001;

-- One epoch, which is one Kafka transaction, a second.
SET leat.trigger = '1 second';

-- A generator, with the seven columns of a Kafka table (key, value, topic, partition, offset, timestamp, timestampType).
CREATE TABLE messages USING generator
OPTIONS (kind 'users', seed '42', partitions '2', junk '${junk}', rowsPerSecond '${rate}', numRows '${rows}');

-- The real thing in its place: this polls the service every ten seconds for a hundred users, and `split` makes a message of each element of
-- the answer's array `results`. Every message goes into a log of leat's own first, so that a crash can read it again, which a URL cannot.
-- When the service says 429 (too many requests) or 5xx, leat waits as long as it asks for, longer with every time.
--
-- CREATE TABLE messages USING http
-- OPTIONS (url 'https://randomuser.me/api/?results=100', interval '10 seconds', split 'results');

-- What may leave. from_json reads what its schema names and nothing else, so what is not written here is not written there: login's user
-- name, password, salt, md5, sha1 and sha256; phone, cell and id; picture; the coordinates and the time zone. A new field of the service
-- does not slip through either. Of login the uuid stays: it is the key.
--   * Dates are STRING: they pass as they came. `postcode` is a number in some countries and text in others; as STRING it is always text.
--   * A message that is no user (junk, empty, another shape) goes to leat_dead, in this machine's data folder, and not to the topic.
CREATE TEMPORARY VIEW users AS
SELECT r.login.uuid AS key, to_json(r) AS value
FROM (SELECT from_json(CAST(value AS STRING), '
        gender STRING, name STRUCT<title: STRING, first: STRING, last: STRING>,
        location STRUCT<street: STRUCT<number: INT, name: STRING>, city: STRING, state: STRING, country: STRING, postcode: STRING>,
        email STRING, login STRUCT<uuid: STRING>, dob STRUCT<date: STRING, age: INT>, registered STRUCT<date: STRING, age: INT>,
        nat STRING') AS r
      FROM messages)
WHERE assert_true(r.login.uuid IS NOT NULL, 'not a user') IS NULL;

-- Exactly once: an epoch's messages become visible together, with its record, or not at all.
CREATE STREAMING TABLE produced
USING kafka TBLPROPERTIES ('kafka.bootstrap.servers' = '${brokers}', topic = '${topic}')
AS SELECT key, value FROM STREAM users;
