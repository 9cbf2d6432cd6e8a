#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# The units of systemd: they are sound, as closed as they claim, and say what they have to say about the end.
# shellcheck disable=SC2154
bats_require_minimum_version 1.5.0
load /usr/lib/bats/bats-support/load
load /usr/lib/bats/bats-assert/load

# Exposure levels times ten, as `systemd-analyze security` of Debian 12 counts.
RUN_EXPOSURE_MAX=25
FLUSH_EXPOSURE_MAX=16

setup() {
  command -v systemd-analyze >/dev/null || skip "systemd-analyze is not installed (scripts/setup installs systemd)"
  local unit
  for unit in wc-run wc-flush; do
    # Instances, with the commands of the build.
    sed "s,^ExecStart=[^ ]*/sbin/,ExecStart=$WC_BUILD_DIR/bin/," \
      "$WC_BUILD_DIR/dist/systemd/$unit@.service" >"$BATS_TEST_TMPDIR/$unit@fast.service"
  done
  cd "$BATS_TEST_TMPDIR" || return
}

@test "units: systemd finds nothing wrong with them" {
  run systemd-analyze verify --man=no ./wc-run@fast.service ./wc-flush@fast.service
  assert_success
  assert_output ""
}

@test "units: a wrong line in them would be noticed" {
  sed -i 's/^KillMode=.*/KillMode=gently/; s/^ProtectSystem=.*/ProtectSystems=strict/' wc-run@fast.service
  run systemd-analyze verify --man=no ./wc-run@fast.service
  assert_output --partial "kill mode"
  assert_output --partial "ProtectSystems"
}

@test "units: no more exposed than block devices make necessary" {
  run systemd-analyze security --offline=true --threshold=$RUN_EXPOSURE_MAX ./wc-run@fast.service
  assert_success
  run systemd-analyze security --offline=true --threshold=$FLUSH_EXPOSURE_MAX ./wc-flush@fast.service
  assert_success
}

@test "units: an open one would be noticed" {
  sed -i '/^Protect\|^Capability\|^SystemCall/d' wc-run@fast.service
  run systemd-analyze security --offline=true --threshold=$RUN_EXPOSURE_MAX ./wc-run@fast.service
  assert_failure
}

@test "units: the options that they give are options of the commands" {
  local unit command words word
  for unit in wc-run wc-flush; do
    read -r command words < <(sed -n 's/^ExecStart=//p' "$unit@fast.service")
    for word in $words; do
      case $word in
        --*) "$command" --help | grep -qE -- "^ +(-.,)?${word%%=*}\b" || fail "$unit: $word is no option" ;;
      esac
    done
  done
}
