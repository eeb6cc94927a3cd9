# Sourced: finds the container engine of this machine, or the one that ../shared/containers makes, and
# sets engine, compose, and the options of a build.
# shellcheck shell=bash
shared=../shared/containers
options=()
if [ -x "$shared/setup.sh" ]; then
  "$shared/setup.sh" >/dev/null
  # Networks of containers need it.
  command -v iptables >/dev/null || {
    apt-get update -q >/dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends iptables >/dev/null
  }
  engine=$(readlink -f "$shared/podman") compose=$(readlink -f "$shared/podman-compose")
  options=(--isolation chroot --network host --layers=false) # it keeps every layer whole
elif command -v "${CONTAINER_ENGINE:-docker}" >/dev/null; then
  engine=${CONTAINER_ENGINE:-docker} compose="$engine compose"
else
  echo "There is no container engine: install docker or podman, or name one with CONTAINER_ENGINE." >&2
  exit 1
fi
