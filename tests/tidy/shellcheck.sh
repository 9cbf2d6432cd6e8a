#!/bin/bash
# SPDX-License-Identifier: LGPL-2.1-or-later
# Runs shellcheck over every shell script and bats file of the project: shellcheck.sh ROOT
set -euo pipefail

if ! command -v shellcheck >/dev/null; then
  echo "skipped: shellcheck is not installed (scripts/setup installs it)"
  exit 77
fi
here=$(cd "$(dirname "$0")" && pwd)
cd "$1"
scripts=$(PYTHONDONTWRITEBYTECODE=1 PYTHONPATH=$here /usr/bin/python3 - <<'PYTHON'
import re
import tree
for name in tree.files("."):
    text = tree.text(".", name) or ""
    if re.match(r"#!.*\b(ba|da)?sh\b|#!.*\bbats\b", text) or name.endswith((".sh", ".bash", ".bats")):
        print(name)
PYTHON
)
[ -n "$scripts" ] || { echo "no script found"; exit 1; }
mapfile -t list <<<"$scripts"
shellcheck --severity=warning "${list[@]}"
echo "shellcheck: ${#list[@]} scripts"
