#!/bin/sh
# Does at its start what MySQL's official image does, as far as docker-compose.yml relies on it; with MariaDB.
set -eu
data=/var/lib/mysql
init=
if [ ! -d "$data/mysql" ]; then
  mariadb-install-db --no-defaults --datadir="$data" --auth-root-authentication-method=normal --skip-test-db >/dev/null
  cat > /tmp/init.sql <<SQL
CREATE DATABASE $MYSQL_DATABASE;
CREATE USER '$MYSQL_USER'@'%' IDENTIFIED BY '$(cat "$MYSQL_PASSWORD_FILE")';
GRANT ALL ON $MYSQL_DATABASE.* TO '$MYSQL_USER'@'%';
ALTER USER root@localhost IDENTIFIED BY '$(cat "$MYSQL_ROOT_PASSWORD_FILE")';
SQL
  init=--init-file=/tmp/init.sql
fi
exec mariadbd --defaults-file=/etc/mysql/conf.d/trivet.cnf --datadir="$data" --log-bin="$data/binlog" $init
