-- Roles of the ingest cluster: run once per cluster and database by a superuser. `penstock up` does it for
-- its own clusters. penstock_owner owns schema and objects and cannot log in; the login roles are
-- its members without inheriting, so that ordinary statements run with the grants alone.

create role penstock_owner nologin;
create role observer_ro login;
create role ingest_rw login noinherit;
create role ops_rw login noinherit;
grant penstock_owner to ingest_rw, ops_rw;
grant observer_ro to ops_rw;
grant pg_monitor to observer_ro;
create schema penstock authorization penstock_owner;
grant usage on schema penstock to observer_ro, ingest_rw, ops_rw;
alter role observer_ro set default_transaction_read_only = on;
alter role observer_ro set search_path = penstock;
alter role ingest_rw set search_path = penstock;
alter role ops_rw set search_path = penstock;
alter default privileges for role penstock_owner in schema penstock grant select on tables to observer_ro, ops_rw;
