-- users-full.sql: a Kafka topic into Cassandra, MongoDB and the embedded catalog, in one read of the topic, with exactly-once effect.
--
--     make demo-full                                      fetches and starts the three servers, runs producer.sql and this file
--     docker-compose -f compose.yaml up                   the same in containers
--     leat run users-full.sql --set brokers=HOST:PORT --set cassandra=HOST --set mongodb=mongodb://HOST:PORT
--
-- One epoch is read once, parsed once, and written to every store; each store keeps the epoch's record beside the rows. So all of them stop at the
-- same message, after kill -9 of anything, too.
--
-- brokers, topic: where from. cassandra, cassandra_port, mongodb: where to. Passwords are given as ${env:NAME} or ${file:PATH} in the options
-- below, and are never stored, printed or logged.
SET brokers = '127.0.0.1:9092';
SET topic = 'users';
SET cassandra = '127.0.0.1';
SET cassandra_port = 9042;
SET mongodb = 'mongodb://127.0.0.1:27017';

CREATE TABLE messages USING kafka
OPTIONS ('kafka.bootstrap.servers' '${brokers}', subscribe '${topic}', startingOffsets 'earliest');

-- One row a user; users.sql says what is easy to get wrong here. A message that is no user goes to leat_dead, with its place and its bytes.
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

-- Cassandra: user.user_informations, one row an id. leat.create makes keyspace and table where they are missing; without it leat prints the CQL.
CREATE STREAMING TABLE user_informations
USING cassandra
TBLPROPERTIES (host = '${cassandra}', port = '${cassandra_port}', keyspace = 'user', `table` = 'user_informations', key = 'id',
               'leat.create' = 'true')
AS SELECT * FROM STREAM users;

-- MongoDB: user.user_informations, one document an id, which is its _id, too.
CREATE STREAMING TABLE user_documents
USING mongodb
TBLPROPERTIES ('connection.uri' = '${mongodb}', database = 'user', collection = 'user_informations', key = 'id')
AS SELECT * FROM STREAM users;

-- The catalog (leat.db): results that always equal their query over everything read so far.
CREATE MATERIALIZED VIEW users_by_nationality
TBLPROPERTIES ('leat.chart' = 'bar', 'leat.x' = 'nationality', 'leat.y' = 'users', 'leat.title' = 'Users by nationality')
AS SELECT nationality, count(*) AS users FROM users GROUP BY nationality;

CREATE MATERIALIZED VIEW users_by_age
TBLPROPERTIES ('leat.chart' = 'bar', 'leat.x' = 'age', 'leat.y' = 'users', 'leat.title' = 'Users by age')
AS SELECT age, count(*) AS users FROM users GROUP BY age;

CREATE MATERIALIZED VIEW users_by_domain
TBLPROPERTIES ('leat.chart' = 'bar', 'leat.x' = 'domain_email', 'leat.y' = 'users', 'leat.title' = 'Users by mail domain')
AS SELECT domain_email, count(*) AS users FROM users GROUP BY domain_email;
