#!/bin/sh
# Makes the cluster of databases on an empty volume, at once or not at all, then is PostgreSQL.
set -eu
umask 077
data=/var/lib/postgresql/data
if [ ! -f "$data/PG_VERSION" ]; then
  rm -rf "$data.new" # of a start that was killed
  printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
  initdb --pgdata="$data.new" --username="$POSTGRES_USER" --pwfile=/tmp/password --auth=scram-sha-256 \
    --encoding=UTF8 --locale=C.UTF-8 --data-checksums
  rm /tmp/password
  cat >>"$data.new/postgresql.conf" <<'END'
listen_addresses = '*'
unix_socket_directories = '/tmp'
shared_buffers = 32MB
password_encryption = 'scram-sha-256'
logging_collector = off
END
  echo 'host all all all scram-sha-256' >>"$data.new/pg_hba.conf"
  echo "create database \"$POSTGRES_DB\"" | postgres --single -D "$data.new" postgres >/dev/null
  mv "$data.new" "$data"
fi
server=$(postgres --version) # postgres (PostgreSQL) 17.5 (Debian ...)
server=${server#*) } server=${server%%[!0-9]*} kept=$(cat "$data/PG_VERSION")
if [ "$kept" != "$server" ]; then
  echo "the data in $data is PostgreSQL $kept's, and this image has PostgreSQL $server, which cannot read it" >&2
  echo "hint: deploy from a system whose packages have PostgreSQL $kept; to change over, take a dump there (pg_dump), purge" \
    "the volume, deploy from here and load the dump (psql)" >&2
  exit 1
fi
unset POSTGRES_PASSWORD
exec postgres -D "$data" -c max_connections=200 # five services, six for each of their copies, old and new ones
