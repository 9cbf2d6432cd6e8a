#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The packages on a bare Debian 12 in a folder: apt installs them, they work, systemd runs the services, they go without a trace.
# The bare system is made once and kept in the build tree.
# shellcheck disable=SC2154,SC2030,SC2031
bats_require_minimum_version 1.5.0
load /usr/lib/bats/bats-support/load
load /usr/lib/bats/bats-assert/load

DEBS="$WC_BUILD_DIR/packages"
BASE="$WC_BUILD_DIR/bookworm.tar"


why_not() {
  [ "$(id -u)" -eq 0 ] || { echo "only root can make another system in a folder"; return; }
  command -v mmdebstrap >/dev/null || { echo "mmdebstrap is not installed (scripts/setup installs it)"; return; }
  compgen -G "$DEBS/*.deb" >/dev/null || { echo "there are no packages (see package:debs)"; return; }
  unshare --mount --pid --fork --cgroup true 2>/dev/null || { echo "this machine gives no namespaces"; return; }
  [ -n "$(mirror)" ] || { echo "apt of this machine knows no mirror of Debian 12"; return; }
}

# The mirror of Debian 12 that this machine's apt uses.
mirror() {
  apt-get indextargets --no-release-info --format '$(RELEASE) $(COMPONENT) $(SITE)' 'Created-By: Packages' |
    sed -n 's,^bookworm main \(.*/debian/\{0\,1\}\)$,\1,p' | head -n 1
}

make_base() {
  [ ! -s "$BASE" ] || return 0
  # No sync after each package: if this is interrupted, it is made again.
  mmdebstrap --quiet --variant=apt --dpkgopt=force-unsafe-io --include=systemd,systemd-sysv --format=tar bookworm "$BASE.new" \
    "deb $(mirror) bookworm main" >&2 || return
  mv "$BASE.new" "$BASE"
}

# inside COMMAND...: in the bare system, while it is not booted.
inside() {
  unshare --mount --pid --fork --propagation private /bin/bash -c '
    mount -t proc proc "$0/proc" && exec chroot "$0" env PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"' \
    "$TREE" "$@" 3>&-
}

# booted COMMAND...: in the bare system, while it is.
booted() {
  nsenter -t "$INIT" -m -p -C -i -u env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@" 3>&-
}

# What is in the tree, but not what apt, dpkg and systemd themselves remember.
files_of_tree() {
  (cd "$TREE" && find . -xdev \( -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log -o -path ./tmp \
    -o -path ./var/tmp -o -path ./var/lib/systemd \
    -o -path ./proc -o -path ./run -o -path ./dev -o -path ./sys \) -prune -o -print | sort)
}

setup_file() {
  local reason
  reason=$(why_not)
  if [ -z "$reason" ] && ! make_base 2>"$BATS_FILE_TMPDIR/base.log"; then
    reason="the bare system could not be made: $(grep -E '^E:' "$BATS_FILE_TMPDIR/base.log" | tail -n 1)"
  fi
  printf '%s' "$reason" >"$BATS_FILE_TMPDIR/reason"
  [ -z "$reason" ] || return 0

  export TREE="$BATS_FILE_TMPDIR/tree"
  mkdir "$TREE"
  tar -xpf "$BASE" -C "$TREE"
  cp --remove-destination -L /etc/resolv.conf "$TREE/etc/resolv.conf"
  apt-config dump --format '%F "%v";%n' Acquire::http Acquire::https >"$TREE/etc/apt/apt.conf.d/90machine"
  echo 'force-unsafe-io' >"$TREE/etc/dpkg/dpkg.cfg.d/unsafe-io"
  # Devices: 16 MiB of origin, 4 MiB of cache.
  head -c 16M /dev/urandom >"$BATS_FILE_TMPDIR/origin.img"
  truncate -s 4M "$BATS_FILE_TMPDIR/cache.img"
}

setup() {
  REASON=$(<"$BATS_FILE_TMPDIR/reason")
  [ -z "$REASON" ] || skip "$REASON"
  INIT=
}

teardown() {
  [ -z "${INIT:-}" ] || kill -9 "$INIT" 2>/dev/null || true
  [ -z "${CONTAINER:-}" ] || wait "$CONTAINER" 2>/dev/null || true
  local device
  for device in ${LOOPS:-}; do
    losetup -d "$device"
  done
}

@test "bare Debian: apt installs the packages with what they need" {
  files_of_tree >"$BATS_FILE_TMPDIR/before"
  cp "$DEBS"/*.deb "$TREE/tmp/"
  inside apt-get -q update
  inside sh -c 'apt-get -q --yes --no-install-recommends install /tmp/*.deb'
  run inside dpkg --audit
  assert_output ""
  run inside sh -c 'dpkg-query -W -f "\${db:Status-Status} \${Package}\n" "*writecache*"'
  assert_output "installed libwritecache-dev
installed libwritecache0
installed nbdkit-plugin-writecache
installed writecache-tools"
}

@test "bare Debian: every command works, and nbdkit finds the plugin" {
  inside sh -ec '
    for tool in wc-check wc-dump wc-flush wc-format wc-run; do $tool --version; done
    cd /tmp; truncate -s 1M cache.img; truncate -s 4M origin.img
    wc-format cache.img
    wc-check --origin origin.img cache.img
    wc-dump --entries=all cache.img | head -n 2
    wc-flush --origin origin.img cache.img
    nbdkit -U - writecache origin=origin.img cache=cache.img --run "test -S \$unixsocket"
    wc-run --name a --origin origin.img cache.img & server=$!
    for turn in $(seq 200); do wc-run ctl a status 2>/dev/null && break; sleep 0.1; done
    wc-run ctl a stop
    wait $server
    test -s /usr/include/writecache/engine.hpp
    for page in /usr/share/man/man*/w*.gz /usr/share/man/man1/nbdkit-writecache*.gz; do gzip -t $page; done'
}

# boot: starts the bare system; sets INIT.
boot() {
  "$BATS_TEST_DIRNAME/container.sh" "$TREE" "$@" 3>&- &
  CONTAINER=$!
  local turn
  for ((turn = 0; turn < 300; ++turn)); do
    INIT=$(pgrep -P "$(pgrep -P "$CONTAINER" -x unshare || echo 0)" || true)
    if [[ "$(readlink "/proc/${INIT:-none}/exe")" == */systemd ]]; then
      booted systemctl is-system-running --wait >"$BATS_TEST_TMPDIR/state" 2>&1 || true
      ! grep -qx 'running\|degraded' "$BATS_TEST_TMPDIR/state" || return 0
    fi
    kill -0 "$CONTAINER" || break
    sleep 0.2
  done
  fail "systemd did not come up: $(cat "$BATS_TEST_TMPDIR/state")"
}

# client PYTHON: a client of the service `fast`, from outside of the container.
client() {
  timeout 60 env PATH=/usr/bin:/bin nbdsh -u "nbd+unix:///?socket=/proc/$INIT/root/run/writecache/fast.nbd" -c "$1"
}

live() {
  wc-check --json "$1" | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)["counts"]["live"])'
}

@test "bare Debian: systemd serves a cache, commits at the end, drains it" {
  [ -e /dev/loop-control ] || skip "no loop devices"
  command -v nbdsh >/dev/null || skip "nbdsh is not installed"
  local cache origin
  cache=$(losetup -f --show "$BATS_FILE_TMPDIR/cache.img")
  LOOPS=$cache
  origin=$(losetup -f --show "$BATS_FILE_TMPDIR/origin.img")
  LOOPS="$cache $origin"
  mkdir -p "$TREE/etc/writecache"
  printf 'origin = %s\ncache = %s\nformat = true\nhigh-watermark = 90\nautocommit-time = 3600000\n' "$origin" "$cache" >"$TREE/etc/writecache/fast.conf"
  printf 'origin = %s\ncache = /dev/none\n' "$origin" >"$TREE/etc/writecache/wrong.conf"
  boot "$cache" "$origin"

  # Without a configuration, and with a wrong one, it fails and says why.
  run booted systemctl start wc-run@none
  assert_failure
  run booted systemctl start wc-run@wrong
  assert_failure
  run booted journalctl --no-pager -u wc-run@wrong
  assert_output --partial "/dev/none"

  booted systemctl start wc-run@fast
  assert_equal "$(booted systemctl is-active wc-run@fast)" active
  run booted wc-run ctl fast status
  assert_success
  # The drain stops the server first, which commits what nobody has flushed.
  client 'h.pwrite(b"a" * 65536, 0)'
  booted systemctl stop wc-run@fast
  assert_equal "$(booted systemctl show -P Result wc-run@fast)" success
  assert_equal "$(live "$cache")" 16
  booted systemctl start wc-run@fast
  client 'h.pwrite(b"b" * 65536, 65536)'
  booted systemctl start wc-flush@fast
  assert_equal "$(booted systemctl show -P Result wc-flush@fast)" success
  run booted systemctl is-active wc-run@fast
  assert_output inactive
  assert_equal "$(live "$cache")" 0
  assert_equal "$(head -c 131072 "$origin" | fold -w 65536 | cut -c 1,65536)" "aa
bb"

  # The machine goes down with a client connected and nothing flushed.
  booted systemctl start wc-run@fast
  client 'h.pwrite(b"c" * 4096, 8192)'
  client 'import time; time.sleep(50)' &
  local idle=$!
  booted systemctl poweroff
  wait "$CONTAINER" || true
  CONTAINER=
  INIT=
  kill "$idle" 2>/dev/null || true
  assert_equal "$(live "$cache")" 1
  wc-dump --read 16+8 --origin "$origin" "$cache" | tr -d c >"$BATS_TEST_TMPDIR/rest"
  assert_equal "$(stat -c %s "$BATS_TEST_TMPDIR/rest")" 0
}

@test "bare Debian: they go without a trace" {
  rm -rf "$TREE/etc/writecache"
  inside apt-get -q --yes purge libwritecache0 writecache-tools nbdkit-plugin-writecache libwritecache-dev
  inside apt-get -q --yes autoremove --purge
  run inside sh -c 'dpkg-query -W -f "\${Package}\n" "*writecache*"'
  refute_output --partial "installed"
  files_of_tree >"$BATS_FILE_TMPDIR/after"
  run diff "$BATS_FILE_TMPDIR/before" "$BATS_FILE_TMPDIR/after"
  assert_output ""
}
