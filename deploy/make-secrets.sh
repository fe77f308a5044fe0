#!/bin/sh
# make-secrets.sh DIRECTORY: makes the secrets that docker-compose.yml and the Kubernetes manifests need, each in a file.
# What is there already stays as it is. Says at the end what to put into .env, and nothing else.
set -eu
[ $# -eq 1 ] || { echo "usage: $0 DIRECTORY" >&2; exit 2; }

# Containers run as users of their own and must read the files; on this machine, the directory keeps others out.
mkdir -p -m 0700 "$1"
cd "$1"
umask 022

secret() {
  [ ! -s "$1" ] || return 0
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n' > ".$1.new"
  mv ".$1.new" "$1"
}

secret token
secret mysql_password
secret mysql_root_password
secret grafana_password
if [ ! -s store ]; then
  printf 'mysql://trivet:%s@mysql:3306/trivet' "$(cat mysql_password)" > .store.new
  mv .store.new store
fi
echo "TRIVET_SECRETS=$(pwd)"
