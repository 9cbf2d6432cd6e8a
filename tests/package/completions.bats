#!/usr/bin/env bats
# SPDX-License-Identifier: LGPL-2.1-or-later
# Completions: the shells accept them, and offer every option of --help and the right words.
# shellcheck disable=SC2154
bats_require_minimum_version 1.5.0
load /usr/lib/bats/bats-support/load
load /usr/lib/bats/bats-assert/load

COMMANDS=(wc-check wc-dump wc-flush wc-format wc-run)
MADE="$WC_BUILD_DIR/dist/completions"

# options COMMAND WORD...: the options of its --help, one a line, read in another way than the generator does.
options() {
  "$@" --help | sed -n '/^Options:/,/^$/p' | grep -oE '^  -[^ ]+' | tr ',' '\n' | sed 's/{.*//' | tr -d ' ' | sort -u
}

# in_bash COMMAND WORD...: what bash offers for the last word.
in_bash() {
  bash -c 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); complete -p "$1" >/dev/null || exit 1
    function=$(complete -p "$1"); function=${function#* -F }; "${function%% *}"; printf "%s\n" "${COMPREPLY[@]}"' \
    "$MADE/bash/$1" "$@"
}

@test "completions: bash offers every option" {
  local command
  for command in "${COMMANDS[@]}"; do
    assert_equal "$(in_bash "$command" - | sort -u)" "$(options "$command")"
  done
}

@test "completions: bash offers values, files, and the verbs of ctl" {
  cd "$BATS_TEST_TMPDIR"
  touch cache.img
  assert_equal "$(in_bash wc-dump --sort se)" "sector
seq"
  assert_equal "$(in_bash wc-dump --entries = unc)" "uncommitted"
  assert_equal "$(in_bash wc-dump --sort =)" "index
sector
seq"
  assert_equal "$(in_bash wc-check --undo ca)" "cache.img"
  assert_equal "$(in_bash wc-check ca)" "cache.img"
  assert_equal "$(in_bash wc-check --memory ca)" ""
  assert_equal "$(in_bash wc-run ct)" "ctl"
  assert_equal "$(in_bash wc-run ctl fast flu)" "flush
flush_on_suspend"
  assert_equal "$(in_bash wc-run ctl fast status - | sort -u)" "$(options wc-run ctl)"
}

@test "completions: zsh accepts them and gets every option" {
  command -v zsh >/dev/null || skip "zsh is not installed (scripts/setup installs it)"
  local command
  for command in "${COMMANDS[@]}"; do
    zsh -n "$MADE/zsh/_$command"
    # The specifications that _arguments would get; an option ends before =, + or [.
    local specs
    specs=$(zsh -fc '_arguments() { print -rl -- "$@" }; words=("$1" ""); CURRENT=2; source "$0"' "$MADE/zsh/_$command" "$command")
    assert_equal "$(grep -oE '^(\([^)]*\))?-[^]=+[]+' <<<"$specs" | sed 's/^(.*)//' | grep -vx -- -s | sort -u)" \
      "$(options "$command")"
  done
  # _arguments itself understands them: it is zsh's own parser.
  run zsh -fc 'autoload -U compinit; compinit -u -d "$1/dump"; source "$0"' "$MADE/zsh/_wc-dump" "$BATS_TEST_TMPDIR"
  refute_output --partial "invalid option"
}

@test "completions: fish accepts them and offers every option" {
  command -v fish >/dev/null || skip "fish is not installed (scripts/setup installs it)"
  export HOME=$BATS_TEST_TMPDIR
  local command
  for command in "${COMMANDS[@]}"; do
    fish -n "$MADE/fish/$command.fish"
    assert_equal "$(fish -c "source $MADE/fish/$command.fish; complete -C'$command -'; complete -C'$command --'" | cut -f1 |
      sed 's/=$//' | sort -u)" "$(options "$command")"
  done
  assert_equal "$(fish -c "source $MADE/fish/wc-dump.fish; complete -C'wc-dump --sort '" | cut -f1 | sort | xargs)" "index sector seq"
  run fish -c "source $MADE/fish/wc-run.fish; complete -C'wc-run ctl fast clea'"
  assert_output --partial "cleaner"
}
