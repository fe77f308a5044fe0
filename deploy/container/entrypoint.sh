#!/bin/sh
# What the container does: the first argument is the role.
set -eu
role=${1:-}
[ $# -eq 0 ] || shift
case "$role" in
  controller) exec node --max-semi-space-size=8 /trivet/controller/main.ts "$@" ;;
  replica) exec node --max-semi-space-size=8 /trivet/replica/main.ts "$@" ;;
  healthcheck) exec "${0%/*}/healthcheck.sh" "$@" ;;
  *)
    echo "usage: controller | replica | healthcheck [PATH]" >&2
    exit 2
    ;;
esac
