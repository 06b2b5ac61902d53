#!/bin/sh
# Between smoke tests: `snapshot` copies the database as it is now, which disturbs nobody, and `restore` puts that copy in
# its place, which ends the sessions of all who use it.
set -eu
export PGHOST=/tmp PGUSER="$POSTGRES_USER" PGPASSWORD="$POSTGRES_PASSWORD"
copy=snapshot
run() { psql --quiet --no-psqlrc --set=ON_ERROR_STOP=1 "$@" >/dev/null; }
case $1 in
snapshot)
  pg_dump --file=/tmp/snapshot.sql "$POSTGRES_DB"
  run --dbname=postgres --command="DROP DATABASE IF EXISTS $copy" --command="CREATE DATABASE $copy"
  run --dbname="$copy" --file=/tmp/snapshot.sql
  rm /tmp/snapshot.sql
  ;;
restore)
  run --dbname=postgres --command="DROP DATABASE \"$POSTGRES_DB\" WITH (FORCE)" \
    --command="CREATE DATABASE \"$POSTGRES_DB\" TEMPLATE $copy"
  ;;
esac
