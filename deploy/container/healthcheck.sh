#!/bin/bash
# healthcheck [PATH]: ends with 0 when the Trivet process of this container answers PATH with 200. The image has no curl, and
# starting Node every few seconds costs a busy machine more than what it asks.
set -u
path=${1:-/healthz}
answers() {
  exec 3<>"/dev/tcp/127.0.0.1/$1" || return 1
  printf 'GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' "$path" >&3
  read -r -t 8 _ status _ <&3 && [ "$status" = 200 ]
}
# Without TRIVET_PORT, a controller's or a node's.
for port in ${TRIVET_PORT:-8081 8082}; do
  (answers "$port") 2>/dev/null && exit 0
done
exit 1
