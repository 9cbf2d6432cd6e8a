#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs the shared contract for the command in WC_TOOL: each function contract_* of contract.bash is one case.
# bats and common.bash assign status, output, stderr, lines, stderr_text; other files read JSON.
# shellcheck disable=SC2154,SC2034,SC2030,SC2031
bats_require_minimum_version 1.5.0
load common.bash
load contract.bash

setup() {
  : "${WC_TOOL:?set by ctest: wc-check, wc-format, wc-dump or wc-flush}"
}

@test "contract: help says usage and exit status" { contract_help_says_usage_and_exit_status; }
@test "contract: version is one line" { contract_version_is_one_line; }
@test "contract: unknown option is 16 with a hint" { contract_unknown_option_is_16_with_a_hint; }
@test "contract: no cache is 16" { contract_no_cache_is_16; }
@test "contract: two caches are 16" { contract_two_caches_are_16; }
@test "contract: bad numbers are 16" { contract_bad_numbers_are_16; }
@test "contract: missing file" { contract_missing_file; }
@test "contract: missing tag" { contract_missing_tag; }
@test "contract: directory" { contract_directory; }
@test "contract: fifo does not hang" { contract_fifo_does_not_hang; }
@test "contract: socket" { contract_socket; }
@test "contract: dev null and full" { contract_dev_null_and_full; }
@test "contract: empty file" { contract_empty_file; }
@test "contract: one byte file" { contract_one_byte_file; }
@test "contract: read only file" { contract_read_only_file; }
@test "contract: start sector beyond the end" { contract_start_sector_beyond_the_end; }
@test "contract: locked image is busy" { contract_locked_image_is_busy; }
@test "contract: mounted device is busy" { contract_mounted_device_is_busy; }
@test "contract: loop device works like the image" { contract_loop_device_works_like_the_image; }
@test "contract: json is one object of the schema" { contract_json_is_one_object_of_the_schema; }
@test "contract: text goes to stdout and quiet silences it" { contract_text_goes_to_stdout_and_quiet_silences_it; }
@test "contract: progress json is one object a line on stderr" { contract_progress_json_is_one_object_a_line_on_stderr; }
@test "contract: full disk on stdout is 8" { contract_full_disk_on_stdout_is_8; }
@test "contract: broken pipe is a quiet 8" { contract_broken_pipe_is_a_quiet_8; }
@test "contract: closed stdout never becomes the device" { contract_closed_stdout_never_becomes_the_device; }
@test "contract: start sector finds the cache" { contract_start_sector_finds_the_cache; }
@test "contract: damage changes nothing on its own" { contract_damage_changes_nothing_on_its_own; }
